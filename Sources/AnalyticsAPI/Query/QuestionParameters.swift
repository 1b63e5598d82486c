internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// The common parameters of questions about a range, checked: `from`, `to`, `tz`, `interval`, `bots`, and the filters of a listing.
struct QuestionParameters {
    var selection: Selection
    var range: QuestionRange
    let parameters: QueryParameters

    static let names = ["from", "to", "tz", "interval", "type", "source", "userId", "anonymousId", "correlationId", "bots", "maxAge"]

    /// - Parameter projectZone: The zone if the request names none.
    init(
        _ query: String, allowed: [String], project: ProjectID, zones: ZoneDatabase, now: Timestamp, hasInterval: Bool = true,
        projectZone: () async throws -> ZoneName?
    ) async throws {
        let names = hasInterval ? Self.names : Self.names.filter { !$0.equalsUTF8("interval") }
        parameters = try QueryParameters([query], allowed: names + allowed, prefix: "data.")
        selection = try parameters.filters(of: project)
        selection.includesBots = try parameters.includesBots()
        let interval = try parameters.choice("interval", of: CalendarInterval.self) ?? .day
        let (zone, rules) = try await Self.zone(parameters, zones, projectZone)
        do {
            range = try QuestionRange(
                zone: zone, rules: rules, interval: interval, from: selection.from, to: selection.to, now: now,
                hasBuckets: hasInterval)
        } catch {
            throw Self.tooManyBuckets("interval")
        }
        guard range.from < range.to else {
            throw QueryParameters.invalid(
                "from", "must be earlier than 'to', which is the end of the present bucket where it is not given.")
        }
        (selection.from, selection.to) = (range.from, range.to)
    }

    /// The zone of `tz`; without it the project's zone, or UTC.
    static func zone(
        _ parameters: QueryParameters, _ zones: ZoneDatabase, _ projectZone: () async throws -> ZoneName?
    ) async throws -> (ZoneName, ZoneRules) {
        try await zone(named: try parameters.single("tz"), zones, projectZone)
    }

    static func zone(
        named text: String?, _ zones: ZoneDatabase, _ projectZone: () async throws -> ZoneName?
    ) async throws -> (ZoneName, ZoneRules) {
        guard let text else {
            let name = try await projectZone() ?? .utc
            // The zone was set on a machine with other time zone data.
            guard let rules = zones.rules(of: name) else {
                throw QueryParameters.invalid("tz", "must be given: this machine does not know the project's time zone, \(name).")
            }
            return (name, rules)
        }
        guard let name = ZoneName(text), let rules = zones.rules(of: name) else {
            throw QueryParameters.invalid(
                "tz",
                "must be a time zone of the IANA database, such as Europe/Berlin or UTC; this service has release \(zones.version ?? "unknown")."
            )
        }
        return (name, rules)
    }

    static func tooManyBuckets(_ name: String) -> Problem {
        QueryParameters.invalid(
            name, "gives more than \(QuestionRange.maximumBuckets) buckets. Ask for a shorter range, or for a longer 'interval'.")
    }

    /// The question with its range and zone filled in, as a query.
    var settled: String {
        parameters.query(
            without: ["explain", "maxAge"], with: [("from", range.from.rfc3339), ("to", range.to.rfc3339), ("tz", range.zone.text)])
    }

    /// The metric; events if absent.
    func metric() throws(Problem) -> Metric {
        guard let text = try parameters.single("metric") else { return .events }
        guard let metric = Metric(text) else {
            throw QueryParameters.invalid(
                "metric",
                "may be events, users, sessions, or \(Metric.Measure.allCases.map(\.rawValue).joined(separator: ", ")) of a property, such as sum(data.amount)."
            )
        }
        return metric
    }

    /// The maximum age of the answer. The default is some seconds for questions about users, and 0 for others.
    func age(_ metric: Metric, now: Timestamp) throws(Problem) -> AnswerAge {
        let seconds = try parameters.integer("maxAge", in: AnswerAge.limits)
        return AnswerAge(now: now, limit: seconds.map { .seconds($0) } ?? (metric.isAboutUsers ? AnswerAge.ofUsers : .zero))
    }

    /// The dimension to group by; `nil` if absent.
    func dimension(_ name: String) throws(Problem) -> Dimension? {
        try Self.dimension(try parameters.single(name), name)
    }

    static func dimension(_ text: String?, _ name: String) throws(Problem) -> Dimension? {
        guard let text else { return nil }
        guard let dimension = Dimension(text) else {
            if text.starts(withUTF8: "data.") || text.starts(withUTF8: "context.") {
                do throws(PropertyPathError) {
                    _ = try PropertyPath(text)
                } catch {
                    throw QueryParameters.invalid(name, error.message)
                }
            }
            throw QueryParameters.invalid(
                name, "may be type, source, userId, anonymousId, or a property such as data.plan or context.device.")
        }
        return dimension
    }
}
