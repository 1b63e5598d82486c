internal import AnalyticsCore
internal import AnalyticsJSON

/// Questions that count users: docs/queries.md defines them.
extension AnalyticsRoutes {
    // MARK: Lifecycle

    func lifecycle(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, query) = try await lifecycleQuestion(asked)
        let answered = try await asked.engine.lifecycle(query, question.age(.users, now: asked.now), for: asked.asker)
        let (range, answer) = (question.range, answered.answer)
        let begin = JSONPart.once { writer in
            QuestionResponse.common(
                range, asOf: answered.asOf, hasBuckets: false, incompleteFrom: range.openBucket(at: answered.asOf), to: &writer)
            writer.member("interval", range.interval.rawValue)
        }
        let seriesBegin = JSONPart.once { writer in
            writer.key("series")
            writer.beginObject()
        }
        let series = Lifecycle.State.allCases.flatMap { state in
            JSONPart.list(state.key, of: answer.users(state)) { users, writer in writer.integer(users) }
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answer.size, capacity: 256 + answer.size,
            parts: [begin] + QuestionResponse.buckets(range) + [seriesBegin] + series + [.once { $0.endObject() }],
            settled: question.settled)
    }

    func lifecycleQuestion(_ asked: AskedQuestion) async throws -> (QuestionParameters, LifecycleQuery) {
        let question = try await question(asked, [])
        _ = try question.parameters.choice("interval", of: DateInterval.self)
        let range = question.range
        return (
            question, LifecycleQuery(question.selection, starts: [range.previousStart] + range.starts + range.following(1))
        )
    }

    // MARK: Stickiness

    func stickiness(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, query) = try await stickinessQuestion(asked)
        let answered = try await asked.engine.stickiness(query, question.age(.users, now: asked.now), for: asked.asker)
        let (range, answer) = (question.range, answered.answer)
        let begin = JSONPart.once { writer in
            QuestionResponse.common(range, asOf: answered.asOf, to: &writer)
            writer.member("interval", range.interval.rawValue)
            writer.member("users", answer.users)
        }
        let values = JSONPart.list("values", of: Array(zip(answer.exactly, answer.atLeast).enumerated())) { value, writer in
            writer.beginObject()
            writer.member("intervals", Int64(value.offset + 1))
            writer.member("users", value.element.0)
            writer.member("atLeast", value.element.1)
            writer.endObject()
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answer.size,
            capacity: 256 + answer.size * 3,
            parts: [begin] + values, settled: question.settled)
    }

    func stickinessQuestion(_ asked: AskedQuestion) async throws -> (QuestionParameters, StickinessQuery) {
        let question = try await question(asked, [])
        return (question, StickinessQuery(question.selection, starts: question.range.starts))
    }

    // MARK: Paths

    func paths(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let (question, query) = try await pathsQuestion(asked)
        let answered = try await asked.engine.paths(query, question.age(.users, now: asked.now), for: asked.asker)
        let (range, answer) = (question.range, answered.answer)
        let begin = JSONPart.once { QuestionResponse.common(range, asOf: answered.asOf, hasBuckets: false, to: &$0) }
        let steps = JSONPart.list("steps", of: Array(answer.steps.enumerated())) { step, writer in
            writer.step(step.offset, step.element)
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answer.size,
            capacity: 256 + answer.size * 2,
            parts: [begin] + steps, settled: question.settled)
    }

    func pathsQuestion(_ asked: AskedQuestion) async throws -> (QuestionParameters, PathsQuery) {
        let question = try await question(
            asked, ["start", "end", "steps", "groupBy", "limit", "gapMinutes", "windowSeconds"], hasInterval: false)
        let parameters = question.parameters
        let (starts, ends) = (try parameters.all("start"), try parameters.all("end"))
        guard starts.isEmpty != ends.isEmpty else {
            throw QueryParameters.invalid("start", "or 'end' names the type of the events at which paths begin: one of the two is needed.")
        }
        var query = PathsQuery(question.selection, from: starts + ends, isBackward: starts.isEmpty)
        query.steps = try parameters.integer("steps", in: PathsQuery.stepCounts) ?? query.steps
        query.dimension = try question.dimension("groupBy") ?? query.dimension
        query.limit = try parameters.limit(in: PathsQuery.limits) ?? query.limit
        let gap = try parameters.integer("gapMinutes", in: SessionsQuery.gaps)
        if let seconds = try parameters.integer("windowSeconds", in: PathsQuery.windows) {
            guard gap == nil else { throw QueryParameters.invalid("gapMinutes", "is for sessions, and cannot go with 'windowSeconds'.") }
            query.scope = .window(seconds: seconds)
        } else if let gap {
            query.scope = .session(gapMinutes: gap)
        }
        return (question, query)
    }
}

extension Lifecycle.State {
    fileprivate var key: StaticString {
        switch self {
        case .new: "new"
        case .returning: "returning"
        case .resurrecting: "resurrecting"
        case .dormant: "dormant"
        }
    }
}

extension JSONWriter {
    fileprivate mutating func step(_ number: Int, _ step: Paths.Step) {
        beginObject()
        member("step", Int64(number))
        count(step.count)
        key("nodes")
        beginArray()
        for node in step.nodes {
            beginObject()
            key("key")
            groupKey(node.key)
            count(node.count)
            endObject()
        }
        endArray()
        member("otherNodes", step.otherNodes)
        key("edges")
        beginArray()
        for edge in step.edges {
            beginObject()
            key("from")
            groupKey(edge.from)
            key("to")
            groupKey(edge.to)
            count(edge.count)
            endObject()
        }
        endArray()
        member("otherEdges", step.otherEdges)
        endObject()
    }

    private mutating func count(_ count: Paths.Count) {
        member("paths", count.paths)
        member("users", count.users)
    }
}
