internal import AnalyticsCore
internal import AnalyticsJSON

/// The users behind a number in the answer to another question.
extension AnalyticsRoutes {
    private enum PeopleOf: String, CaseIterable {
        case funnels, retention, lifecycle, stickiness, paths, uniques

        /// Whether the question is a JSON object instead of parameters.
        var hasBody: Bool { self == .funnels || self == .retention }

        /// The member that has the question.
        var inner: String { hasBody ? "body" : "parameters" }

        /// The members that select the number.
        var cellNames: [String] {
            switch self {
            case .funnels: ["step", "dropped"]
            case .retention: ["cohort", "period", "dropped"]
            case .lifecycle: ["bucket", "state"]
            case .stickiness: ["intervals", "atLeast"]
            case .paths: ["step", "key", "from", "to"]
            case .uniques: ["bucket"]
            }
        }
    }

    /// A question about people: the other question, the number in its answer, and the page.
    private struct PeopleRequest {
        var question: PeopleOf
        /// The other question.
        var asked: AskedQuestion
        var members: BodyObject
        var page: PeoplePage

        init(_ asked: AskedQuestion) throws(Problem) {
            let body = asked.body ?? BodyNode(value: .object([]), path: "")
            let own = ["question", "limit", "cursor"]
            let all = own + ["body", "parameters"] + PeopleOf.allCases.flatMap(\.cellNames)
            guard let question = try body.object(all)["question"]?.choice(of: PeopleOf.self) else {
                throw try body.object(all).missing(
                    "question", "one of \(PeopleOf.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            let inner = question.inner
            members = try body.object(own + [inner] + question.cellNames)
            self.question = question
            self.asked = asked
            (self.asked.query, self.asked.body) = ("", nil)
            if question.hasBody {
                guard let node = members[inner] else { throw members.missing(inner, "the question, as it is sent to its route.") }
                self.asked.body = node
            } else {
                self.asked.query = try members[inner]?.query() ?? ""
            }
            page = PeoplePage()
            page.limit = try members["limit"]?.integer(in: PeoplePage.limits) ?? page.limit
            if let node = members["cursor"] {
                guard let cursor = PeopleCursor(try node.text()) else {
                    throw node.invalid("must be the nextCursor of an earlier answer, unchanged.")
                }
                page.after = cursor
            }
        }
    }

    func people(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let people = try PeopleRequest(asked)
        let (range, answered, settled) = try await answer(to: people)
        let answer = answered.answer
        let begin = JSONPart.once { writer in
            QuestionResponse.common(range, asOf: answered.asOf, hasBuckets: false, to: &writer)
            writer.member("total", answer.total)
        }
        let list = JSONPart.list("people", of: answer.people) { person, writer in writer.person(person, range) }
        let end = JSONPart.once { writer in
            writer.key("nextCursor")
            if let next = answer.next { writer.string(next.text) } else { writer.json("null".utf8) }
        }
        return QuestionAnswer(
            headers: QuestionResponse.headers(isCached: answered.isCached, zones: zones), size: answer.size,
            capacity: 256 + answer.size * 2, parts: [begin] + list + [end],
            settled: people.members.settled(with: [(people.question.inner, settled)]).text)
    }

    /// Also returns the other question with its range and zone filled in.
    private func answer(to people: PeopleRequest) async throws -> (QuestionRange, Answered<People>, settled: BodyNode.Value) {
        let (asked, page) = (people.asked, people.page)
        let (engine, asker) = (asked.engine, asked.asker)
        switch people.question {
        case .funnels:
            let (question, range, query) = try await funnelQuestion(asked)
            let cell = try Self.funnelCell(people.members, query)
            let answered = try await engine.people(behind: cell, of: query, in: range.whole, page, question.age(), for: asker)
            return (range, answered, question.settled(range))
        case .retention:
            let (question, range, query) = try await retentionQuestion(asked)
            let cell = try Self.retentionCell(people.members, query, range)
            let answered = try await engine.people(behind: cell, of: query, in: range.whole, page, question.age(), for: asker)
            return (range, answered, question.settled(range))
        case .lifecycle:
            let (question, query) = try await lifecycleQuestion(asked)
            guard let state = try people.members["state"]?.choice(of: Lifecycle.State.self) else {
                throw people.members.missing("state", "new, returning, resurrecting or dormant.")
            }
            let cell = LifecycleCell(bucket: try Self.bucket("bucket", people.members, question.range.starts), state: state)
            let age = try question.age(.users, now: asked.now)
            let answered = try await engine.people(behind: cell, of: query, in: question.range.whole, page, age, for: asker)
            return (question.range, answered, BodyNode.Value(query: question.settled))
        case .stickiness:
            let (question, query) = try await stickinessQuestion(asked)
            guard let count = try people.members["intervals"]?.integer(in: 1...query.starts.count) else {
                throw people.members.missing("intervals", "a number from 1 to the number of the range's buckets.")
            }
            let cell = StickinessCell(count: count, isAtLeast: try people.members["atLeast"]?.boolean() ?? false)
            let age = try question.age(.users, now: asked.now)
            let answered = try await engine.people(behind: cell, of: query, in: question.range.whole, page, age, for: asker)
            return (question.range, answered, BodyNode.Value(query: question.settled))
        case .paths:
            let (question, query) = try await pathsQuestion(asked)
            let cell = try Self.pathsCell(people.members, query)
            let age = try question.age(.users, now: asked.now)
            let answered = try await engine.people(behind: cell, of: query, in: question.range.whole, page, age, for: asker)
            return (question.range, answered, BodyNode.Value(query: question.settled))
        case .uniques:
            let (question, query) = try await uniquesQuestion(asked)
            let isOfBucket = people.members["bucket"] != nil
            let cell = UniquesCell(bucket: isOfBucket ? try Self.bucket("bucket", people.members, query.starts) : nil)
            let age = try question.age(.users, now: asked.now)
            let answered = try await engine.people(behind: cell, of: query, in: question.range.whole, page, age, for: asker)
            return (question.range, answered, BodyNode.Value(query: question.settled))
        }
    }

    // MARK: Selecting the number

    private static func funnelCell(_ members: BodyObject, _ query: FunnelQuery) throws(Problem) -> FunnelCell {
        let isDropped = try members["dropped"]?.boolean() ?? false
        guard let step = try members["step"]?.integer(in: (isDropped ? 2 : 1)...query.steps.count) else {
            throw members.missing("step", "the number of a step, from 1.")
        }
        return FunnelCell(step: step, isDropped: isDropped)
    }

    private static func retentionCell(
        _ members: BodyObject, _ query: RetentionQuery, _ range: QuestionRange
    ) throws(Problem) -> RetentionCell {
        let cohort = try bucket("cohort", members, range.starts)
        let period = try members["period"]?.integer(in: 0...query.periods - 1)
        let dropped = members["dropped"]
        guard dropped == nil || period != nil else { throw QueryParameters.invalid("dropped", "goes with 'period'.") }
        return RetentionCell(cohort: cohort, period: period, isDropped: try dropped?.boolean() ?? false)
    }

    private static func pathsCell(_ members: BodyObject, _ query: PathsQuery) throws(Problem) -> PathsCell {
        guard let step = try members["step"]?.integer(in: 0...query.steps) else {
            throw members.missing("step", "the number of a step, from 0, at which paths begin.")
        }
        switch (members["key"], members["from"], members["to"]) {
        case (nil, nil, nil): return PathsCell(step: step, .step)
        case (let key?, nil, nil): return PathsCell(step: step, .node(try key.key()))
        case (nil, let from?, let to?) where step > 0: return PathsCell(step: step, .edge(from: try from.key(), to: try to.key()))
        default: throw QueryParameters.invalid("step", "goes with 'key', or from 1 on with both 'from' and 'to', or with none of these.")
        }
    }

    /// The index of the bucket with this start.
    private static func bucket(_ name: String, _ members: BodyObject, _ starts: [Timestamp]) throws(Problem) -> Int {
        guard let node = members[name] else { throw members.missing(name, "the start of a bucket, as the answer to the question has it.") }
        let start = try node.timestamp()
        guard let place = starts.firstIndex(of: start) else {
            throw node.invalid("must be the start of a bucket, as the answer to the question has it.")
        }
        return place
    }
}

extension QuestionRange {
    fileprivate var whole: Range<Timestamp> { from..<to }
}

extension BodyNode {
    /// A group key of an answer.
    fileprivate func key() throws(Problem) -> GroupKey {
        guard case .scalar(let scalar) = value else { throw invalid("must be a key: a string, a number, true, false or null.") }
        return GroupKey(scalar)
    }

    /// Writes an object of parameters, each with one value or several, as a query string.
    fileprivate func query() throws(Problem) -> String {
        guard case .object(let members) = value else {
            throw invalid("must be an object with the parameters of the route, each a value or an array of them.")
        }
        var pairs: [String] = []
        for (name, value) in members {
            let node = BodyNode(value: value, path: "\(path).\(name.clipped)")
            if name.equalsUTF8("explain") { throw node.invalid("stands in the URL, behind /api/v1/analytics/people.") }
            var nodes = [node]
            if case .array = value { nodes = try node.elements(0...QueryParameters.maximumValues, "values") }
            for value in nodes { pairs.append("\(PercentEncoding.encode(name))=\(PercentEncoding.encode(try value.scalarText()))") }
        }
        return pairs.joined(separator: "&")
    }
}

extension BodyNode.Value {
    /// Reads a query string as an object of parameters.
    fileprivate init(query: String) {
        var members: [(name: String, values: [Self])] = []
        for pair in query.splitUTF8("&") {
            guard let (name, value) = pair.cutUTF8(atFirst: "="), let name = PercentEncoding.decode(name, plusIsSpace: true),
                let value = PercentEncoding.decode(value, plusIsSpace: true)
            else { continue }
            if let index = members.firstIndex(where: { $0.name.equalsUTF8(name) }) {
                members[index].values.append(.scalar(.string(value)))
            } else {
                members.append((name, [.scalar(.string(value))]))
            }
        }
        self = .object(members.map { ($0.name, $0.values.count == 1 ? $0.values[0] : .array($0.values)) })
    }
}

extension JSONWriter {
    fileprivate mutating func person(_ person: People.Person, _ range: QuestionRange) {
        beginObject()
        switch person.kind {
        case .userId: member("userId", person.id)
        case .anonymousId: member("anonymousId", person.id)
        case .visitorId: member("visitorId", person.id)
        }
        key("first")
        if let first = person.first { string(range.text(first)) } else { json("null".utf8) }
        key("last")
        if let last = person.last { string(range.text(last)) } else { json("null".utf8) }
        member("events", person.events)
        endObject()
    }
}
