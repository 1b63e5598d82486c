internal import AnalyticsCore
internal import AnalyticsJSON

/// Questions with a JSON body.
extension AnalyticsRoutes {
    private func questionBody(_ asked: AskedQuestion, _ allowed: [String]) async throws -> QuestionBody {
        try await QuestionBody(asked, allowed: allowed, zones: zones)
    }

    // MARK: Funnels

    func funnels(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, range, query) = try await funnelQuestion(asked)
        let answered = try await asked.engine.funnel(query, question.age(), for: asked.asker)
        return FunnelResponse.answer(answered, query, range, settled: question.settled(range).text, zones: zones)
    }

    func funnelQuestion(_ asked: AskedQuestion) async throws -> (QuestionBody, QuestionRange, FunnelQuery) {
        let question = try await questionBody(asked, ["steps", "order", "windowSeconds", "exclusions", "groupBy", "limit"])
        let (range, selection) = try question.range(nil)
        return (question, range, try Self.funnel(question.members, selection))
    }

    private static func funnel(_ members: BodyObject, _ selection: Selection) throws(Problem) -> FunnelQuery {
        guard let nodes = try members["steps"]?.elements(FunnelQuery.stepCounts, "steps") else {
            throw members.missing("steps", "an array of 2 to 10 steps, such as {\"types\":[\"page_view\"]}.")
        }
        var query = FunnelQuery(selection, steps: [])
        for node in nodes {
            query.steps.append(try node.pattern())
            guard query.steps.last?.types.isEmpty == false else {
                throw QueryParameters.invalid("\(node.path).types", "must name one type or more.")
            }
        }
        query.order = try members["order"]?.choice(of: FunnelQuery.Order.self) ?? .ordered
        query.windowSeconds = try members["windowSeconds"]?.integer(in: FunnelQuery.windows) ?? FunnelQuery.defaultWindow
        query.exclusions = try exclusions(members, query)
        query.dimension = try QuestionParameters.dimension(try members["groupBy"]?.text(), "groupBy")
        if let limit = members["limit"] {
            guard query.dimension != nil else { throw limit.invalid("goes with 'groupBy'.") }
            query.limit = try limit.integer(in: FunnelQuery.limits)
        }
        return query
    }

    private static func exclusions(_ members: BodyObject, _ query: FunnelQuery) throws(Problem) -> [FunnelQuery.Exclusion] {
        guard let member = members["exclusions"] else { return [] }
        let nodes = try member.elements(0...FunnelQuery.exclusionLimit, "exclusions")
        guard nodes.isEmpty || query.order != .strict else {
            throw member.invalid("cannot go with the order 'strict', which nothing may come between.")
        }
        var exclusions: [FunnelQuery.Exclusion] = []
        let last = query.steps.count
        for node in nodes {
            let own = try node.object(BodyNode.patternNames + ["afterStep", "beforeStep"])
            let after = try own["afterStep"]?.integer(in: 1...last - 1) ?? 1
            let before = try own["beforeStep"]?.integer(in: after + 1...last) ?? last
            exclusions.append(FunnelQuery.Exclusion(try node.pattern(others: ["afterStep", "beforeStep"]), between: after...before))
        }
        return exclusions
    }

    /// The short form: each step is a type.
    func shortFunnels(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let question = try await questionBody(asked, ["steps", "window_seconds"])
        guard let nodes = try question.members["steps"]?.elements(FunnelQuery.stepCounts, "types") else {
            throw question.members.missing("steps", "an array of 2 to 10 types, such as [\"signup\",\"purchase\"].")
        }
        var names: [String] = []
        for node in nodes { names.append(try node.text()) }
        let (range, selection) = try question.range(nil)
        let query = FunnelQuery(
            selection, steps: names.map { EventPattern(types: [$0]) },
            windowSeconds: try question.members["window_seconds"]?.integer(in: FunnelQuery.windows) ?? FunnelQuery.defaultWindow)
        let answered = try await asked.engine.funnel(query, question.age(), for: asked.asker)
        let steps = answered.answer.steps
        let list = JSONPart.list("steps", of: Array(zip(names, steps.indices))) { step, writer in
            writer.beginObject()
            writer.member("name", step.0)
            writer.member("users", steps[step.1].users)
            writer.key("rate")
            writer.double(Funnel.shareOfFirst(steps, step.1) ?? 0)
            writer.endObject()
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answered.answer.size,
            capacity: answered.answer.size, parts: list, settled: question.settled(range).text)
    }

    // MARK: Retention

    /// Intervals of whole dates: there are whole buckets before and after the range.
    enum DateInterval: String, CaseIterable {
        case day, week, month

        var interval: CalendarInterval {
            switch self {
            case .day: .day
            case .week: .week
            case .month: .month
            }
        }
    }

    func retention(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, range, query) = try await retentionQuestion(asked)
        let answered = try await asked.engine.retention(query, question.age(), for: asked.asker)
        return RetentionResponse.answer(answered, query, range, settled: question.settled(range).text, zones: zones)
    }

    func retentionQuestion(_ asked: AskedQuestion) async throws -> (QuestionBody, QuestionRange, RetentionQuery) {
        let question = try await questionBody(asked, ["first", "firstEver", "returning", "interval", "periods", "mode"])
        let members = question.members
        let interval = try members["interval"]?.choice(of: DateInterval.self) ?? .day
        let periods = try members["periods"]?.integer(in: RetentionQuery.periodCounts) ?? RetentionQuery.defaultPeriods
        let (range, selection) = try question.range(interval.interval, usualCount: periods)
        guard range.starts.count <= RetentionQuery.cohortLimit else {
            throw QueryParameters.invalid(
                "interval", "gives more than \(RetentionQuery.cohortLimit) cohorts. Ask for a shorter range, or for a longer 'interval'.")
        }
        let query = RetentionQuery(
            selection, first: try members["first"]?.pattern() ?? EventPattern(), firstEver: try members["firstEver"]?.boolean() ?? false,
            returning: try members["returning"]?.pattern() ?? EventPattern(),
            mode: try members["mode"]?.choice(of: RetentionQuery.Mode.self) ?? .on, periods: periods,
            starts: range.starts + range.following(periods))
        return (question, range, query)
    }
}

// MARK: - Answers

enum FunnelResponse {
    static func answer(
        _ answered: Answered<Funnel>, _ query: FunnelQuery, _ range: QuestionRange, settled: String, zones: ZoneDatabase
    ) -> QuestionAnswer {
        let answer = answered.answer
        let begin = JSONPart.once { writer in
            QuestionResponse.common(range, asOf: answered.asOf, hasBuckets: false, to: &writer)
            writer.member("order", query.order.rawValue)
            writer.member("windowSeconds", Int64(query.windowSeconds))
            writer.steps(answer.steps)
        }
        var parts = [begin]
        if query.dimension != nil {
            parts += JSONPart.list("groups", of: answer.groups) { group, writer in
                writer.beginObject()
                writer.key("key")
                writer.groupKey(group.key)
                writer.steps(group.steps)
                writer.endObject()
            }
            parts.append(
                .once { writer in
                    writer.key("other")
                    guard let other = answer.other else { return writer.json("null".utf8) }
                    writer.beginObject()
                    writer.steps(other)
                    writer.endObject()
                })
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answer.size, capacity: answer.size * 3,
            parts: parts, settled: settled)
    }
}

enum RetentionResponse {
    static func answer(
        _ answered: Answered<UserRetention>, _ query: RetentionQuery, _ range: QuestionRange, settled: String, zones: ZoneDatabase
    ) -> QuestionAnswer {
        let begin = JSONPart.once { writer in
            QuestionResponse.common(
                range, asOf: answered.asOf, hasBuckets: false, incompleteFrom: incomplete(query, answered.asOf), to: &writer)
            writer.member("interval", range.interval.rawValue)
            writer.member("mode", query.mode.rawValue)
        }
        let cohorts = JSONPart.list("cohorts", of: Array(zip(range.starts, answered.answer.cohorts))) { cohort, writer in
            writer.beginObject()
            writer.member("start", range.text(cohort.0))
            writer.member("size", cohort.1.size)
            writer.key("values")
            writer.beginArray()
            for value in cohort.1.values { writer.integer(value) }
            writer.endArray()
            writer.endObject()
        }
        let size = answered.answer.size
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: size, capacity: size,
            parts: [begin] + cohorts, settled: settled)
    }

    /// The start of the first period, over all cohorts, that has not ended.
    static func incomplete(_ query: RetentionQuery, _ asOf: Timestamp) -> Timestamp? {
        zip(query.starts, query.starts.dropFirst()).first { $1 > asOf }?.0
    }
}

extension JSONWriter {
    fileprivate mutating func steps(_ steps: [Funnel.Step]) {
        key("steps")
        beginArray()
        for (index, step) in steps.enumerated() {
            beginObject()
            member("users", step.users)
            for (name, value) in [
                ("shareOfFirst", Funnel.shareOfFirst(steps, index)), ("shareOfPrevious", Funnel.shareOfPrevious(steps, index)),
                ("medianSeconds", step.medianSeconds), ("p90Seconds", step.p90Seconds),
            ] as [(StaticString, Double?)] {
                key(name)
                if let value { double(value) } else { json("null".utf8) }
            }
            endObject()
        }
        endArray()
    }
}
