internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The parameters of a request, from its query and from a form in its body.
struct GraphiteRequest: Sendable {
    let parameters: QueryParameters
    let now: Timestamp
    let zone: ZoneName
    let rules: ZoneRules

    /// Bytes per form.
    static let maximumBytes = 512 * 1024
    private static let form = "application/x-www-form-urlencoded"

    /// Parameters of every route: Grafana's, and `bots`.
    private static let common = ["from", "until", "tz", "bots"]

    /// - Parameters:
    ///   - body: Reads forms; `nil` for routes without forms.
    ///   - projectZone: The zone if the request names none.
    init(
        _ request: Request, _ context: APIRequestContext, allowed: [String], body: BodyReader?, zones: ZoneDatabase, now: Timestamp,
        projectZone: () async throws -> ZoneName?
    ) async throws {
        var texts = [request.uri.query ?? ""]
        if request.method == .post, let body {
            let type = try MediaType.essence(request.headers)
            guard type == nil || type?.equalsUTF8(Self.form) == true else {
                throw Problem(.unsupportedMediaType, "Content-Type may be \(Self.form).").closingConnection()
            }
            let lease = body.lease(for: request, context)
            let bytes = try await body.read(request, lease, from: context.connection)
            texts.append(bytes.string(at: bytes.all))
        }
        parameters = try QueryParameters(texts, allowed: Self.common + allowed)
        self.now = now
        (zone, rules) = try await QuestionParameters.zone(parameters, zones, projectZone)
    }

    /// The requested range.
    ///
    /// - Parameter usual: The length if `from` is absent.
    func moments(usual: Duration) throws(Problem) -> (from: Timestamp, until: Timestamp) {
        let until = try moment("until") ?? now
        let from = try moment("from") ?? until - usual
        guard from < until, from.isValid else {
            throw QueryParameters.invalid("from", "must be earlier than 'until', which is now where it is not given.")
        }
        return (from, until)
    }

    private func moment(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = try parameters.single(name) else { return nil }
        guard let time = GraphiteTime.moment(text, now: now, rules: rules) else { throw QueryParameters.invalid(name, GraphiteTime.help) }
        return time
    }

    /// The events whose names are listed, in whole hours.
    func selection(of project: ProjectID) throws(Problem) -> Selection {
        let (from, until) = try moments(usual: .seconds(30 * 86_400))
        let hour: Int64 = 3_600_000
        return Selection(
            project: project, includesBots: try parameters.includesBots(),
            from: Timestamp(milliseconds: from.milliseconds / hour * hour - (from.milliseconds < 0 ? hour : 0)),
            to: Timestamp(milliseconds: (until.milliseconds / hour + 1) * hour))
    }

    /// `expr=type=view`, repeated: the conditions of `seriesByTag`.
    func tags() throws -> GraphiteTags {
        var tags = GraphiteTags()
        for expression in try parameters.all("expr") { try tags.add(expression) }
        return tags
    }
}
