internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Shows who changed what.
struct AuditRoute: Sendable {
    let audit: AuditLog
    let projects: Projects
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    var routes: [Route] { [Route(managed: .get, "/api/v1/audit", list)] }

    private func list(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["project"] + RecordPage.parameters)
        let page = try RecordPage(parameters)
        let project = try await project(parameters.single("project"), of: administrator)
        let entries = try await audit.entries(of: project, before: page.cursor, limit: page.limit)
        let lease = answers.lease()
        try lease.hold(entries.reduce(0) { $0 + 1_024 + 2 * $1.details.utf8.count })
        return .json(
            capacity: 1_024, holding: lease,
            JSONPart.list("entries", of: entries) { entry, writer in
                writer.beginObject()
                writer.members(of: entry)
                writer.endObject()
            } + [page.next(entries.map(\.id))])
    }

    /// `nil` for the entries of all projects, and those of none.
    private func project(_ name: String?, of administrator: Administrator) async throws -> ProjectID? {
        if let name {
            guard let project = ProjectID(name), administrator.manages(project), try await projects.existing(project) != nil else {
                throw Problem.projectNotFound
            }
            return project
        }
        guard case .projects(let own) = administrator.realm else { return nil }
        guard own.count == 1 else {
            throw Problem(
                .projectRequired, "The caller manages several projects. Name one of them with 'project'; GET /api/v1/projects lists them.")
        }
        return own.first
    }
}
