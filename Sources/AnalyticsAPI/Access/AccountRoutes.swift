internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Invites, shows, changes and removes accounts. For administrators of the instance only.
struct AccountRoutes: Sendable {
    let accounts: Accounts
    let clock: WallClock
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    var routes: [Route] {
        [
            route(.get, "/api/v1/accounts", list),
            route(.post, "/api/v1/accounts", invite),
            route(.get, "/api/v1/accounts/{id}", show),
            route(.patch, "/api/v1/accounts/{id}", change),
            route(.delete, "/api/v1/accounts/{id}", remove),
            route(.post, "/api/v1/accounts/{id}/reset", reset),
        ]
    }

    private func route(
        _ method: HTTPRequest.Method, _ path: String,
        _ handler: @escaping @Sendable (Request, APIRequestContext, Administrator) async throws -> Response
    ) -> Route {
        Route(managed: method, path) { request, context, administrator in
            try administrator.checkInstance("manages accounts. 'analytics users' does, too.")
            return try await handler(request, context, administrator)
        }
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        let page = try RecordPage(try QueryParameters(request, allowed: RecordPage.parameters))
        let accounts = try await accounts.list(before: page.cursor, limit: page.limit)
        let lease = answers.lease()
        try lease.hold(accounts.reduce(0) { $0 + 1_024 + 128 * $1.roles.count })
        return .json(
            capacity: 1_024, holding: lease,
            JSONPart.list("accounts", of: accounts) { account, writer in
                writer.beginObject()
                writer.members(of: account)
                writer.endObject()
            } + [page.next(accounts.map(\.id))])
    }

    private func invite(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let members = try await body.node(of: request, context).node.object(["email", "name", "administrator", "roles"])
        let email = try members.required("email", "it is the address that the person signs in with.").emailAddress()
        let (account, token) = try await accounts.invite(
            email, name: try members["name"]?.anyText() ?? "", isAdministrator: try members["administrator"]?.boolean() ?? false,
            roles: try members["roles"]?.roles() ?? [:], by: administrator)
        let expiresAt = clock.now() + Accounts.invitationLifetime
        return .json(.created, headers: [.location: "/api/v1/accounts/\(account.id)"]) { writer in
            writer.members(of: account)
            writer.members(ofInvitation: token, expiresAt)
        }
    }

    private func show(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        guard let account = try await accounts.account(try context.accountID()) else { throw Problem.accountNotFound }
        return .json { $0.members(of: account) }
    }

    private func change(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let id = try context.accountID()
        let members = try await body.node(of: request, context).node.object(["name", "administrator", "disabled"])
        let change = AccountChange(
            name: try members["name"]?.anyText(), isAdministrator: try members["administrator"]?.boolean(),
            isDisabled: try members["disabled"]?.boolean())
        guard let account = try await accounts.change(id, change, by: administrator) else { throw Problem.accountNotFound }
        return .json { $0.members(of: account) }
    }

    private func remove(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        guard try await accounts.remove(try context.accountID(), by: administrator) else { throw Problem.accountNotFound }
        return Response(status: .noContent)
    }

    private func reset(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        guard let token = try await accounts.reset(try context.accountID(), by: administrator) else { throw Problem.accountNotFound }
        let expiresAt = clock.now() + Accounts.invitationLifetime
        return .json { $0.members(ofInvitation: token, expiresAt) }
    }
}

extension Administrator {
    /// Throws 403 unless it manages the instance.
    ///
    /// - Parameter what: Follows "ADMIN_TOKEN, or the session of an administrator of the instance, ".
    func checkInstance(_ what: String) throws(Problem) {
        guard !isOfInstance else { return }
        throw Problem(.insufficientScope, "ADMIN_TOKEN, or the session of an administrator of the instance, \(what)").closingConnection()
    }
}

extension APIRequestContext {
    /// The account of the path. Throws 404 for text that is no id.
    func accountID() throws(Problem) -> String {
        let id = pathParameter("id")
        guard id.utf8.count == 20, id.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
            throw .accountNotFound
        }
        return id
    }
}

extension BodyNode {
    func emailAddress() throws(Problem) -> EmailAddress {
        guard let email = EmailAddress(try text()) else { throw invalid("must be an e-mail address, such as ann@example.com.") }
        return email
    }

    /// Roles by project.
    fileprivate func roles() throws(Problem) -> [ProjectID: Role] {
        guard case .object(let members) = value else { throw invalid("must be an object of projects and the role in each.") }
        var roles: [ProjectID: Role] = [:]
        for (name, value) in members {
            let node = BodyNode(value: value, path: "\(path).\(name.clipped)")
            guard let project = ProjectID(name) else { throw node.invalid("names no project.") }
            roles[project] = try node.choice(of: Role.self)
        }
        return roles
    }
}

extension Problem {
    static var accountNotFound: Problem {
        Problem(.accountNotFound, "No account has this id. GET /api/v1/accounts lists them.")
    }
}

extension JSONWriter {
    fileprivate mutating func members(ofInvitation token: String, _ expiresAt: Timestamp) {
        member("invitation", token)
        member("expiresAt", expiresAt.rfc3339)
    }
}
