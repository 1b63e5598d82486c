internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The routes of the analytics questions: docs/queries.md defines them.
struct AnalyticsRoutes: Sendable {
    let engine: QueryEngine
    let zones: ZoneDatabase
    let clock: WallClock
    /// Reads questions with a body.
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    /// The questions whose answers can have a proof.
    var questions: [QuestionRoute] {
        [
            QuestionRoute("/api/v1/analytics/timeseries", aliases: ["/analytics/timeseries"], timeseries),
            QuestionRoute("/api/v1/analytics/topn", aliases: ["/analytics/topn"], topn),
            QuestionRoute("/api/v1/analytics/uniques", uniques),
            QuestionRoute("/api/v1/analytics/sessions", sessions),
            QuestionRoute("/api/v1/analytics/funnels", reader: body, funnels),
            QuestionRoute("/api/v1/analytics/retention", reader: body, retention),
            QuestionRoute("/api/v1/analytics/lifecycle", lifecycle),
            QuestionRoute("/api/v1/analytics/stickiness", stickiness),
            QuestionRoute("/api/v1/analytics/paths", paths),
            QuestionRoute("/api/v1/analytics/people", reader: body, people),
            QuestionRoute("/api/trends", trends),
            QuestionRoute("/api/funnels", reader: body, shortFunnels),
        ]
    }

    var routes: [Route] {
        let responder = QuestionResponder(engine: engine, zones: zones, clock: clock, answers: answers)
        return questions.flatMap(responder.routes) + [Route(.get, "/stats", .read, stats)]
    }

    func question(_ asked: AskedQuestion, _ allowed: [String], hasInterval: Bool = true) async throws -> QuestionParameters {
        try await QuestionParameters(
            asked.query, allowed: allowed + ["explain"], project: asked.project, zones: zones, now: asked.now, hasInterval: hasInterval,
            projectZone: { try await asked.engine.timeZone(of: asked.project) })
    }

    // MARK: Time series

    func timeseries(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, response) = try await timeseriesResponse(asked)
        return response.answer(to: question, zones: zones)
    }

    func timeseriesResponse(_ asked: AskedQuestion) async throws -> (QuestionParameters, TimeseriesResponse) {
        let question = try await question(asked, ["metric", "groupBy", "limit", "compare", "compareFrom", "compareTo"])
        let metric = try question.metric()
        let dimension = try question.dimension("groupBy")
        let limit = try question.parameters.limit(in: TimeseriesQuery.limits)
        guard limit == nil || dimension != nil else { throw QueryParameters.invalid("limit", "goes with 'groupBy'.") }
        let earlier = try Self.comparedRange(question)
        var query = TimeseriesQuery(
            question.selection, metric: metric, by: dimension, limit: limit ?? TimeseriesQuery.defaultLimit, starts: question.range.starts)
        try Self.checkSize(query)
        let age = try question.age(metric, now: asked.now)
        let answered = try await asked.engine.timeseries(query, age, for: asked.asker)
        var response = TimeseriesResponse(
            range: question.range, metric: metric, asOf: answered.asOf, answer: answered.answer, isCached: answered.isCached)
        if let earlier {
            query = TimeseriesQuery(
                question.selection.within(earlier), metric: metric, by: dimension, limit: query.limit,
                keys: dimension == nil ? nil : answered.answer.series.compactMap(\.key), starts: earlier.starts)
            try Self.checkSize(query)
            let compared = try await asked.engine.timeseries(query, age, for: asked.asker)
            response.earlier = (earlier, compared.answer)
            response.isCached = answered.isCached && compared.isCached
            response.asOf = min(answered.asOf, compared.asOf)
        }
        return (question, response)
    }

    static func checkSize(_ query: TimeseriesQuery) throws(Problem) {
        let groups = query.dimension == nil ? 1 : query.limit
        guard groups * query.starts.count <= TimeseriesQuery.maximumValues else {
            throw QueryParameters.invalid(
                "limit",
                "times the number of buckets is more than \(TimeseriesQuery.maximumValues). Ask for fewer groups, or for a longer 'interval'."
            )
        }
    }

    private enum Comparison: String, CaseIterable {
        case previous
    }

    private static func comparedRange(_ question: QuestionParameters) throws(Problem) -> QuestionRange? {
        let parameters = question.parameters
        let comparison = try parameters.choice("compare", of: Comparison.self)
        let (from, to) = (try parameters.timestamp("compareFrom"), try parameters.timestamp("compareTo"))
        do {
            switch (comparison, from, to) {
            case (nil, nil, nil): return nil
            case (.previous, nil, nil): return try question.range.previous()
            case (nil, let from?, let to?):
                guard from < to else { throw QueryParameters.invalid("compareTo", "must be later than 'compareFrom': the range is empty.") }
                return try question.range.range(from: from, to: to)
            default: throw QueryParameters.invalid("compare", "is 'previous', or a range is named by both 'compareFrom' and 'compareTo'.")
            }
        } catch let problem as Problem {
            throw problem
        } catch {
            throw QuestionParameters.tooManyBuckets("compare")
        }
    }

    // MARK: Tops

    func topn(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, answered) = try await topAnswered(asked)
        return TopResponse.answer(answered.answer, to: question, asOf: answered.asOf, isCached: answered.isCached, zones: zones)
    }

    func topAnswered(_ asked: AskedQuestion) async throws -> (QuestionParameters, Answered<Top>) {
        let question = try await question(asked, ["metric", "dimension", "n"], hasInterval: false)
        guard let dimension = try question.dimension("dimension") else {
            throw QueryParameters.invalid("dimension", "is missing: it names what is counted by, such as type, userId or data.plan.")
        }
        let metric = try question.metric()
        let query = TopQuery(
            question.selection, by: dimension, metric: metric,
            limit: try question.parameters.integer("n", in: TopQuery.limits) ?? TopQuery.defaultLimit)
        return (question, try await asked.engine.top(query, question.age(metric, now: asked.now), for: asked.asker))
    }

    // MARK: Uniques

    func uniques(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, query) = try await uniquesQuestion(asked)
        let answered = try await asked.engine.timeseries(query, question.age(.users, now: asked.now), for: asked.asker)
        return UniquesResponse.answer(answered.answer, to: question, asOf: answered.asOf, isCached: answered.isCached, zones: zones)
    }

    func uniquesQuestion(_ asked: AskedQuestion) async throws -> (QuestionParameters, TimeseriesQuery) {
        let question = try await question(asked, [])
        return (question, TimeseriesQuery(question.selection, metric: .users, starts: question.range.starts))
    }
}

// MARK: - Daily statistics of a site

extension AnalyticsRoutes {
    private func stats(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["site_id", "date", "bots"])
        guard let site = try parameters.single("site_id"), !site.isEmpty else {
            throw QueryParameters.invalid("site_id", "is missing: it names the source of the events.")
        }
        guard let text = try parameters.single("date"), let midnight = Timestamp(rfc3339: text + "T00:00:00Z") else {
            throw QueryParameters.invalid("date", "must be a date such as 2026-03-01.")
        }
        let zone = try await engine.timeZone(of: principal.project) ?? .utc
        guard let rules = zones.rules(of: zone) else {
            throw QueryParameters.invalid("date", "cannot be told: this machine does not know the project's time zone, \(zone).")
        }
        let day = rules.day(of: midnight)
        let selection = Selection(
            project: principal.project, sources: [site], includesBots: try parameters.includesBots(), from: day.lowerBound,
            to: day.upperBound)
        let (views, _) = try await engine.timeseries(TimeseriesQuery(selection, starts: [day.lowerBound]), for: context.asker)
        let (users, _) = try await engine.timeseries(
            TimeseriesQuery(selection, metric: .users, starts: [day.lowerBound]), for: context.asker)
        let paths = try await topPaths(selection, context)
        return .json { writer in
            writer.member("site_id", site)
            writer.member("date", text)
            writer.key("total_views")
            writer.metricValue(views.total)
            writer.key("unique_users")
            writer.metricValue(users.total)
            writer.key("top_paths")
            writer.beginArray()
            for item in paths {
                writer.beginObject()
                writer.key("path")
                writer.groupKey(item.key)
                writer.key("views")
                writer.metricValue(item.value)
                writer.endObject()
            }
            writer.endArray()
        }
    }

    /// The ten most frequent paths. Leaves out events without a path.
    private func topPaths(_ selection: Selection, _ context: APIRequestContext) async throws -> [Top.Item] {
        guard let dimension = Dimension("data.path") else { return [] }
        let (top, _) = try await engine.top(TopQuery(selection, by: dimension, limit: 11), for: context.asker)
        return Array(top.items.filter { $0.key != .null }.prefix(10))
    }
}

extension Selection {
    fileprivate func within(_ range: QuestionRange) -> Selection {
        var selection = self
        (selection.from, selection.to) = (range.from, range.to)
        return selection
    }
}
