internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Makes, lists, revokes and rotates the keys of a project.
struct KeyRoutes: Sendable {
    let keys: Keys
    let projects: Projects
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    /// Seconds.
    private static let overlaps = 0...Int(Keys.longestOverlap.seconds)
    private static let usualOverlap = Int(Keys.usualOverlap.seconds)
    /// Members of a new key.
    private static let names = ["scope", "name", "expiresAt", "requestsPerSecond", "eventsPerSecond"]

    var routes: [Route] {
        [
            Route(managed: .get, "/api/v1/projects/{project}/keys", list),
            Route(managed: .post, "/api/v1/projects/{project}/keys", create),
            Route(managed: .delete, "/api/v1/projects/{project}/keys/{id}", revoke),
            Route(managed: .post, "/api/v1/projects/{project}/keys/{id}/rotate", rotate),
        ]
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        let keys = try await keys.list(of: project)
        let lease = answers.lease()
        try lease.hold(keys.reduce(0) { $0 + 1_024 + 2 * $1.name.utf8.count })
        return .json(
            capacity: 1024, holding: lease,
            JSONPart.list("keys", of: keys) { key, writer in
                writer.beginObject()
                writer.members(of: key)
                writer.endObject()
            })
    }

    private func create(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        let members = try await body.node(of: request, context).node.object(Self.names)
        let scope = try members.required("scope", "it is write, read or admin.")
        var expiresAt: Timestamp?
        if let node = members["expiresAt"], !node.isNull { expiresAt = try node.timestamp() }
        let rates = ProjectRates(
            requestsPerSecond: try members["requestsPerSecond"]?.perSecond(), eventsPerSecond: try members["eventsPerSecond"]?.perSecond())
        let made = try await keys.create(
            project: project, scope: try scope.choice(of: Scope.self), name: try members["name"]?.anyText() ?? "", expiresAt: expiresAt,
            rates: rates, by: administrator)
        return Self.response(made)
    }

    private func revoke(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        // Only a key of the project in the path, whoever asks.
        let revoked = try await keys.revoke(try Self.id(in: context), by: administrator.only(project))
        guard let revoked else { throw Self.notFound }
        return .json { $0.members(of: revoked) }
    }

    private func rotate(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        let members = try await body.node(of: request, context, mayBeEmpty: true).node.object(["overlapSeconds"])
        let overlap = try members["overlapSeconds"]?.integer(in: Self.overlaps) ?? Self.usualOverlap
        let made = try await keys.rotate(try Self.id(in: context), overlap: .seconds(overlap), by: administrator.only(project))
        guard let made else { throw Self.notFound }
        return Self.response(made)
    }

    /// Throws 404 for text that cannot be an id.
    private static func id(in context: APIRequestContext) throws(Problem) -> String {
        let id = context.pathParameter("id")
        guard !id.isEmpty, !id.utf8.contains(0) else { throw notFound }
        return id
    }

    /// The only answer that contains a key.
    private static func response(_ made: NewKey) -> Response { .json(.created) { $0.members(of: made.stored, text: made.key.text) } }

    private static var notFound: Problem {
        Problem(.keyNotFound, "No key of this project has this id. GET /api/v1/projects/{project}/keys lists them.")
    }
}
