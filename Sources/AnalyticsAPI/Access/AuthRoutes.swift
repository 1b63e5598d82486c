internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Signing in and out, and what a person changes about their own account.
struct AuthRoutes: Sendable {
    let signIn: SignIn
    let projects: Projects
    /// Of the session.
    let cookie: HostCookie
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget
    /// For requests that begin a session. Taken after the body was read: clients without a credential must not hold them.
    private let slots = RequestSlots(limit: 8, full: Self.full)
    /// While such a body is read: clients without a credential must not hold the connections and the memory of everybody else.
    private let readings = RequestSlots(limit: 256, full: Self.full)
    private let signInBody: BodyReader

    private static let full = "Too many people are signing in at the moment. Send this again in a moment."
    private static let longestSignIn = 8 * 1024

    init(signIn: SignIn, projects: Projects, cookie: HostCookie, body: BodyReader, answers: ByteBudget) {
        self.signIn = signIn
        self.projects = projects
        self.cookie = cookie
        self.body = body
        self.answers = answers
        signInBody = BodyReader(
            limit: Self.longestSignIn, budget: ByteBudget(limit: 256 * Self.longestSignIn), clientAddress: body.clientAddress)
    }

    var routes: [Route] {
        [
            Route(signIn: .post, "/api/v1/auth/sign-in", begin),
            Route(signIn: .post, "/api/v1/auth/accept", accept),
            Route(account: .post, "/api/v1/auth/sign-out", end),
            Route(caller: .get, "/api/v1/auth/me", show),
            Route(account: .post, "/api/v1/auth/password", changePassword),
            Route(account: .get, "/api/v1/auth/sessions", list),
            Route(account: .post, "/api/v1/auth/totp", beginTOTP),
            Route(account: .delete, "/api/v1/auth/totp", removeTOTP),
            Route(account: .post, "/api/v1/auth/totp/confirm", confirmTOTP),
        ]
    }

    // MARK: Sessions

    private func begin(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let members = try await openBody(of: request, context).object(["email", "password", "code"])
        let email = try members.required("email", "it is the address of the account.").text()
        let password = try members.required("password", "it is that of the account.").text()
        let code = try members["code"]?.text()
        let slot = try slots.take()
        defer { withExtendedLifetime(slot) {} }
        let made = try await signIn.signIn(email, password, code: code, from: client(of: request, context))
        return try await response(made, to: request, context)
    }

    private func accept(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let members = try await openBody(of: request, context).object(["token", "password", "name"])
        let token = try members.required("token", "it is that of the invitation.").text()
        let password = try members.required("password", "it is the new one.").text()
        let name = try members["name"]?.anyText()
        let slot = try slots.take()
        defer { withExtendedLifetime(slot) {} }
        let made = try await signIn.accept(token, password: password, name: name, from: client(of: request, context))
        return try await response(made, to: request, context)
    }

    /// The body of a request without a credential.
    private func openBody(of request: Request, _ context: APIRequestContext) async throws -> BodyNode {
        let reading: RequestSlots.Slot
        do throws(Problem) { reading = try readings.take() } catch { throw error.closingConnection() }
        defer { withExtendedLifetime(reading) {} }
        return try await signInBody.node(of: request, context).node
    }

    private func end(_ request: Request, _ context: APIRequestContext, _ signedIn: SignedIn) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let members = try await body.node(of: request, context, mayBeEmpty: true).node.object(["everywhere"])
        try await signIn.signOut(
            signedIn, everywhere: try members["everywhere"]?.boolean() ?? false, from: client(of: request, context))
        return Response(status: .noContent, headers: [.setCookie: cookie.removal(to: request, from: context.peerAddress)])
    }

    private func show(_ request: Request, _ context: APIRequestContext, _ caller: Caller) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        return try response(try await CallerResponse(caller, projects))
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ signedIn: SignedIn) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let sessions = try await signIn.sessions(of: signedIn.account.id)
        let lease = answers.lease()
        try lease.hold(sessions.count * 1_024)
        let current = signedIn.session.id
        return .json(
            capacity: 1_024, holding: lease,
            JSONPart.list("sessions", of: sessions) { session, writer in
                writer.beginObject()
                writer.member("id", session.id)
                writer.member("createdAt", session.createdAt.rfc3339)
                writer.member("lastUsedAt", session.seenAt.rfc3339)
                writer.member("expiresAt", session.expiresAt.rfc3339)
                writer.nullable("address", session.address)
                writer.member("agent", session.agent)
                writer.key("current")
                writer.boolean(session.id.equalsUTF8(current))
                writer.endObject()
            })
    }

    // MARK: Password and second factor

    private func changePassword(_ request: Request, _ context: APIRequestContext, _ signedIn: SignedIn) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let members = try await body.node(of: request, context).node.object(["current", "new"])
        let current = try members.required("current", "it is the password until now.").text()
        let new = try members.required("new", "it is the password from now on.").text()
        let made = try await signIn.changePassword(signedIn, current: current, new: new, from: client(of: request, context))
        return try await response(made, to: request, context)
    }

    private func beginTOTP(_ request: Request, _ context: APIRequestContext, _ signedIn: SignedIn) async throws -> Response {
        let password = try await password(in: request, context)
        let setup = try await signIn.beginTOTP(signedIn, password: password, from: client(of: request, context))
        return .json { writer in
            writer.member("secret", setup.secret)
            writer.member("uri", setup.uri)
        }
    }

    private func confirmTOTP(_ request: Request, _ context: APIRequestContext, _ signedIn: SignedIn) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let members = try await body.node(of: request, context).node.object(["code"])
        let code = try members.required("code", "it is the one that the app shows.").text()
        let codes = try await signIn.confirmTOTP(signedIn, code: code, from: client(of: request, context))
        return .json { $0.list("recoveryCodes", codes) }
    }

    private func removeTOTP(_ request: Request, _ context: APIRequestContext, _ signedIn: SignedIn) async throws -> Response {
        let password = try await password(in: request, context)
        try await signIn.removeTOTP(signedIn, password: password, from: client(of: request, context))
        return Response(status: .noContent)
    }

    private func password(in request: Request, _ context: APIRequestContext) async throws -> String {
        _ = try QueryParameters(request, allowed: [])
        let members = try await body.node(of: request, context).node.object(["password"])
        return try members.required("password", "it is that of the account.").text()
    }

    // MARK: Answers

    /// The only answers that contain the token of a session.
    private func response(_ made: NewSession, to request: Request, _ context: APIRequestContext) async throws -> Response {
        var response = try response(try await CallerResponse(made.account, projects))
        response.headers[.setCookie] = cookie.field(made.token.text, to: request, from: context.peerAddress)
        return response
    }

    private func response(_ caller: CallerResponse) throws -> Response {
        let lease = answers.lease()
        try lease.hold(caller.size)
        return .json(capacity: 1_024, holding: lease, caller.parts)
    }

    private func client(of request: Request, _ context: APIRequestContext) -> Client {
        body.clientAddress.client(of: request, context)
    }
}

extension BodyObject {
    /// - Parameter what: Follows "is missing: ".
    func required(_ name: String, _ what: String) throws(Problem) -> BodyNode {
        guard let node = self[name] else { throw missing(name, what) }
        return node
    }
}
