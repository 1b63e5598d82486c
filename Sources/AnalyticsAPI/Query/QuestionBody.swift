internal import AnalyticsCore
internal import AnalyticsJSON

/// The common members of questions with a JSON body, checked: `from`, `to`, `tz`, `bots`, `maxAge` and `filters`.
struct QuestionBody {
    let members: BodyObject
    private let zone: ZoneName
    private let rules: ZoneRules
    private let now: Timestamp
    private var selection: Selection

    private static let names = ["from", "to", "tz", "bots", "maxAge", "filters"]

    init(_ asked: AskedQuestion, allowed: [String], zones: ZoneDatabase) async throws {
        members = try (asked.body ?? BodyNode(value: .object([]), path: "")).object(allowed + Self.names)
        (zone, rules) = try await QuestionParameters.zone(named: try members["tz"]?.text(), zones) {
            try await asked.engine.timeZone(of: asked.project)
        }
        now = asked.now
        selection = Selection(project: asked.project, from: try members["from"]?.timestamp(), to: try members["to"]?.timestamp())
        selection.includesBots = try members["bots"]?.choice(of: QueryParameters.Bots.self) == .include
        if let from = selection.from, let to = selection.to, from >= to {
            throw QueryParameters.invalid("to", "must be later than 'from': the range is empty.")
        }
        if let filters = try members["filters"]?.object(["types", "sources", "userIds", "anonymousIds", "correlationIds", "data"]) {
            selection.types = try filters["types"]?.texts() ?? []
            selection.sources = try filters["sources"]?.texts() ?? []
            selection.userIds = try filters["userIds"]?.texts() ?? []
            selection.anonymousIds = try filters["anonymousIds"]?.texts() ?? []
            selection.correlationIds = try filters["correlationIds"]?.texts() ?? []
            selection.data = try filters["data"]?.conditions() ?? []
        }
    }

    /// The range with its defaults filled in, and the selection in it.
    ///
    /// - Parameters:
    ///   - interval: The interval of the buckets; `nil` for a question without buckets.
    ///   - usualCount: The number of buckets of a range without `from`.
    func range(_ interval: CalendarInterval?, usualCount: Int? = nil) throws(Problem) -> (range: QuestionRange, selection: Selection) {
        let range: QuestionRange
        do {
            range = try QuestionRange(
                zone: zone, rules: rules, interval: interval ?? .day, from: selection.from, to: selection.to, now: now,
                hasBuckets: interval != nil, usualCount: usualCount)
        } catch {
            throw QuestionParameters.tooManyBuckets("interval")
        }
        guard range.from < range.to else {
            throw QueryParameters.invalid(
                "from", "must be earlier than 'to', which is the end of the present bucket where it is not given.")
        }
        var selection = selection
        (selection.from, selection.to) = (range.from, range.to)
        return (range, selection)
    }

    /// The body with its range and zone filled in.
    func settled(_ range: QuestionRange) -> BodyNode.Value {
        let settled = [("from", range.from.rfc3339), ("to", range.to.rfc3339), ("tz", range.zone.text)]
        return members.settled(without: "maxAge", with: settled.map { ($0, .scalar(.string($1))) })
    }

    /// The maximum age of the answer.
    func age() throws(Problem) -> AnswerAge {
        let seconds = try members["maxAge"]?.integer(in: AnswerAge.limits)
        return AnswerAge(now: now, limit: seconds.map { .seconds($0) } ?? AnswerAge.ofUsers)
    }
}

extension BodyNode {
    static let patternNames = ["types", "sources", "data"]

    /// The pattern that an event must match.
    ///
    /// - Parameter others: Further members that are allowed.
    func pattern(others: [String] = []) throws(Problem) -> EventPattern {
        let members = try object(Self.patternNames + others)
        return EventPattern(
            types: try members["types"]?.texts() ?? [], sources: try members["sources"]?.texts() ?? [],
            data: try members["data"]?.conditions() ?? [])
    }
}
