internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// Signing in with a provider of OpenID Connect.
///
/// Browsers come to both routes from pages of other sites. The cookie with the ``ProviderAttempt`` proves that the browser that comes back is
/// the one that left.
struct OIDCRoutes: Sendable {
    let provider: ProviderSignIn
    let clientAddress: ClientAddressRule
    private let sessions: HostCookie
    private let attempts: HostCookie
    private let slots = RequestSlots(limit: 8, full: "Too many people are signing in at the moment. Open this again in a moment.")

    /// In bytes.
    private static let longestCode = 4_096

    init(provider: ProviderSignIn, settings: APISettings, clientAddress: ClientAddressRule) {
        self.provider = provider
        self.clientAddress = clientAddress
        sessions = .session(settings)
        attempts = .attempt(settings)
    }

    var routes: [Route] {
        [
            Route(open: .get, "/api/v1/auth/oidc", begin),
            Route(open: .get, "/api/v1/auth/oidc/callback", complete),
        ]
    }

    private func begin(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["returnTo"])
        let text = try parameters.single("returnTo")
        guard let path = ReturnPath(text ?? ReturnPath.standard.text) else {
            throw QueryParameters.invalid(
                "returnTo", "must be a path of this service such as /docs, of at most \(ReturnPath.longest) printable ASCII characters.")
        }
        let slot = try slots.take()
        defer { withExtendedLifetime(slot) {} }
        let (attempt, address) = try await provider.begin(returnPath: path)
        let cookie = attempts.field(attempt.text, to: request, from: context.peerAddress)
        return Response(status: .found, headers: [.location: address, .setCookie: cookie]).notStored()
    }

    private func complete(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        // Providers add parameters of their own.
        let parameters = try QueryParameters(request, allowed: nil)
        let peer = context.peerAddress
        guard let attempt = try attempts.value(of: request, from: peer).flatMap({ ProviderAttempt($0) }),
            let state = try parameters.single("state"), attempt.admits(state: state)
        else {
            throw QueryParameters.invalid(
                "state", "is of no sign-in that this browser has begun here within 10 minutes. Begin again with GET /api/v1/auth/oidc.")
        }
        do {
            let new = try await signIn(attempt, parameters, from: clientAddress.client(of: request, context))
            var response = Response(status: .found, headers: [.location: attempt.returnPath.text])
            for cookie in [sessions.field(new.token.text, to: request, from: peer), attempts.removal(to: request, from: peer)] {
                response.headers.append(HTTPField(name: .setCookie, value: cookie))
            }
            return response.notStored()
        } catch {
            var problem = Problem(error, requestID: context.id, logger: context.logger)
            if problem.status == .unauthorized { problem.headers[.setCookie] = attempts.removal(to: request, from: peer) }
            throw problem
        }
    }

    private func signIn(_ attempt: ProviderAttempt, _ parameters: QueryParameters, from client: Client) async throws -> NewSession {
        if let error = try parameters.single("error") {
            // OpenID Connect Core, section 3.1.2.6, and RFC 6749, section 4.1.2.1.
            let isDown = ["server_error", "temporarily_unavailable"].contains { error.equalsUTF8($0) }
            throw IdentityProviderError(isDown ? .unavailable : .refused, "it came back with the error '\(error.clipped)'")
        }
        guard let code = try parameters.single("code"), (1...Self.longestCode).contains(code.utf8.count) else {
            throw QueryParameters.invalid("code", "is missing: it is what the provider sends.")
        }
        let slot = try slots.take()
        defer { withExtendedLifetime(slot) {} }
        do {
            return try await provider.complete(attempt, code: code, from: client)
        } catch SignInError.wrongCredentials {
            throw Problem(
                .signInRefused,
                "No account that may sign in has the address that the provider has verified, or it belongs to somebody else there. An "
                    + "administrator of the instance invites people.")
        }
    }
}
