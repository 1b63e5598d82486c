internal import AnalyticsCore

extension AnalyticsRoutes {
    func sessions(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let question = try await question(asked, ["gapMinutes", "page", "limit"])
        let query = SessionsQuery(
            question.selection, gapMinutes: try question.parameters.integer("gapMinutes", in: SessionsQuery.gaps),
            page: try Self.page(question.parameters),
            limit: try question.parameters.limit(in: SessionsQuery.limits) ?? SessionsQuery.defaultLimit, starts: question.range.starts)
        let answered = try await asked.engine.sessions(query, question.age(.sessions, now: asked.now), for: asked.asker)
        return SessionsResponse.answer(answered, to: question, zones: zones)
    }

    private static func page(_ parameters: QueryParameters) throws(Problem) -> PropertyPath {
        let text = try parameters.single("page") ?? SessionsQuery.defaultPage
        do throws(PropertyPathError) {
            return try PropertyPath(text)
        } catch {
            throw QueryParameters.invalid("page", error.message)
        }
    }
}

// MARK: - Trends

extension AnalyticsRoutes {
    /// Types in the answer if the request names none.
    private static let usualTrends = 10

    func trends(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let question = try await question(asked, ["event"])
        guard question.selection.types.isEmpty else { throw QueryParameters.invalid("type", "is called 'event' here.") }
        let events = try question.parameters.all("event")
        var keys: [GroupKey] = []
        for event in events where !keys.contains(GroupKey(event)) { keys.append(GroupKey(event)) }
        var selection = question.selection
        selection.types = events
        let query = TimeseriesQuery(
            selection, by: .type, limit: keys.isEmpty ? Self.usualTrends : keys.count, keys: keys.isEmpty ? nil : keys,
            starts: question.range.starts)
        try Self.checkSize(query)
        let answered = try await asked.engine.timeseries(query, question.age(.events, now: asked.now), for: asked.asker)
        return TrendsResponse.answer(answered, to: question, zones: zones)
    }
}
