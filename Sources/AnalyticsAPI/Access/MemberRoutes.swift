internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The members of a project: accounts with a role in it.
struct MemberRoutes: Sendable {
    let accounts: Accounts
    let projects: Projects
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    var routes: [Route] {
        [
            Route(managed: .get, "/api/v1/projects/{project}/members", list),
            Route(managed: .post, "/api/v1/projects/{project}/members", add),
            Route(managed: .patch, "/api/v1/projects/{project}/members/{id}", change),
            Route(managed: .delete, "/api/v1/projects/{project}/members/{id}", remove),
        ]
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        let members = try await accounts.members(of: project)
        let lease = answers.lease()
        try lease.hold(members.count * 1_024)
        return .json(
            capacity: 1_024, holding: lease,
            JSONPart.list("members", of: members) { member, writer in
                writer.beginObject()
                writer.members(ofMember: member.account, member.role)
                writer.endObject()
            })
    }

    private func add(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        let members = try await body.node(of: request, context).node.object(["email", "role"])
        let email = try members.required("email", "it is the address of the account.").emailAddress()
        let role = try members.role()
        guard let account = try await accounts.setRole(role, of: email, in: project, by: administrator) else {
            throw Problem(
                .accountNotFound,
                "No account that can sign in has this address. An administrator of the instance invites people with POST /api/v1/accounts.")
        }
        return .json(.created, headers: [.location: "/api/v1/projects/\(project)/members/\(account.id)"]) {
            $0.members(ofMember: account, role)
        }
    }

    private func change(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        let id = try Self.id(in: context)
        let role = try await body.node(of: request, context).node.object(["role"]).role()
        guard let known = try await accounts.account(id), known.roles[project] != nil,
            let account = try await accounts.setRole(role, of: known.email, in: project, by: administrator)
        else { throw Self.notFound }
        return .json { $0.members(ofMember: account, role) }
    }

    private func remove(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let project = try await projects.managed(context, by: administrator).project
        // Only of the project in the path, whoever asks.
        let isRemoved = try await accounts.removeRole(of: try Self.id(in: context), in: project, by: administrator.only(project))
        guard isRemoved else { throw Self.notFound }
        return Response(status: .noContent)
    }

    /// An id that is none is one of no member, too.
    private static func id(in context: APIRequestContext) throws(Problem) -> String {
        do throws(Problem) { return try context.accountID() } catch { throw notFound }
    }

    private static var notFound: Problem {
        Problem(.memberNotFound, "No member of this project has this id. GET /api/v1/projects/{project}/members lists them.")
    }
}

extension BodyObject {
    fileprivate func role() throws(Problem) -> Role {
        try required("role", "it is viewer, editor or owner.").choice(of: Role.self)
    }
}

extension JSONWriter {
    fileprivate mutating func members(ofMember account: Account, _ role: Role) {
        member("id", account.id)
        member("email", account.email.text)
        member("name", account.name)
        member("role", role.rawValue)
    }
}
