internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The number of a project's stored events by the time of their receipt.
struct UsageRoutes: Sendable {
    let projects: Projects
    let engine: QueryEngine
    let clock: WallClock
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    var routes: [Route] { [Route(managed: .get, "/api/v1/projects/{project}/usage", usage)] }

    private func usage(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["from", "to"])
        let project = try await projects.managed(context, by: administrator).project
        let asOf = clock.now()
        let (from, to) = (try Self.month("from", parameters), try Self.month("to", parameters))
        guard let query = UsageQuery(project: project, from: from, to: to, at: asOf) else {
            throw QueryParameters.invalid(
                "from", "must not be later than 'to', and the range may have \(UsageQuery.maximumMonths) months.")
        }
        let usage = try await engine.usage(query, for: context.asker)
        let lease = answers.lease()
        try lease.hold(usage.size)
        let begin = JSONPart.once { writer in
            writer.member("project", project.name)
            writer.member("asOf", asOf.rfc3339)
            writer.member("total", usage.total)
        }
        let months = JSONPart.list("months", of: usage.months) { month, writer in
            writer.beginObject()
            writer.members(of: month)
            writer.endObject()
        }
        return .json(headers: [.cacheControl: "no-store"], capacity: 4_096, holding: lease, [begin] + months)
    }

    /// `nil` if absent.
    private static func month(_ name: String, _ parameters: QueryParameters) throws(Problem) -> CivilMonth? {
        guard let text = try parameters.single(name) else { return nil }
        guard let month = CivilMonth(text) else { throw QueryParameters.invalid(name, "must be a month such as 2026-03.") }
        return month
    }
}
