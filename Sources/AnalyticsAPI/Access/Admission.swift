internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird
internal import Synchronization

/// Admits or refuses a request before any of its body is read.
struct Admission: Sendable {
    let authenticator: any Authenticator
    let sites: SiteRule
    let clientAddress: ClientAddressRule
    /// `nil`: no project is archived or has rates, and none allows another site.
    let access: AccessServices?
    private let elapsed: ElapsedClock
    /// For requests that manage projects and keys: they read the store where keys are looked up too.
    private let managing = RequestSlots(
        limit: 8, full: "Too many requests that manage projects and keys are being handled. Send this one again in a moment.")

    init(_ services: APIServices, _ settings: APISettings, elapsed: ElapsedClock = .system) {
        authenticator = services.authenticator
        sites = SiteRule(settings)
        clientAddress = ClientAddressRule(settings)
        access = services.access
        self.elapsed = elapsed
    }

    /// Handles a request that needs a scope.
    ///
    /// Without keys, pages of other sites are refused. Admin routes refuse them in any case, because a browser may send an administrator's
    /// credentials by itself.
    func respond(
        to request: Request, _ context: APIRequestContext, with scope: Scope,
        _ handle: @Sendable (Request, APIRequestContext, Principal) async throws -> Response
    ) async throws -> Response {
        let asksForKey = try await authenticator.asksForKey()
        if !asksForKey { try sites.check(request) } else if scope == .admin { try sites.checkOrigin(of: request) }
        let peer = peer(of: request, context)
        let principal = try await authenticator.principal(of: request, with: scope, from: peer)
        var headers = try scope == .write ? pageHeaders(request, principal.project) : [:]
        do {
            if let rate = try access?.admit(principal, scope) { headers.append(contentsOf: RateHeaders.fields(rate, of: .requests)) }
            var response = try await handle(request, context, principal)
            response.headers.add(headers)
            // A stream of any length: of live events, or an export.
            if response.body.contentLength == nil {
                let again = RepeatedCheck(elapsed: elapsed) { [authenticator] in
                    _ = try await authenticator.principal(of: request, with: scope, from: peer)
                }
                response.body = response.body.map { bytes in
                    try await again.check()
                    return bytes
                }
            }
            return response
        } catch {
            guard !headers.isEmpty else { throw error }
            var problem = Problem(error, requestID: context.id, logger: context.logger)
            problem.headers.add(headers)
            throw problem
        }
    }

    /// Handles a request that manages projects and keys.
    func respond(
        to request: Request, _ context: APIRequestContext,
        _ handle: @Sendable (Request, APIRequestContext, Administrator) async throws -> Response
    ) async throws -> Response {
        let administrator = try await administrator(of: request, context)
        let slot = try managing.take()
        defer { withExtendedLifetime(slot) {} }
        return try await handle(request, context, administrator)
    }

    /// The caller of a route that manages projects and keys.
    private func administrator(of request: Request, _ context: APIRequestContext) async throws -> Administrator {
        let asksForKey = try await authenticator.asksForKey()
        if asksForKey { try sites.checkOrigin(of: request) } else { try sites.check(request) }
        return try await authenticator.administrator(of: request, from: peer(of: request, context))
    }

    /// Whether the caller may see what is about any project: everybody while no key is needed, then the administrator of the instance.
    func showsAllProjects(to request: Request, _ context: APIRequestContext) async -> Bool {
        do {
            guard try await authenticator.asksForKey() else { return true }
            return try await authenticator.administrator(of: request, from: peer(of: request, context)) == .instance
        } catch {
            return false
        }
    }

    private func peer(of request: Request, _ context: APIRequestContext) -> String {
        clientAddress.text(peer: context.peerAddress, headers: request.headers)
    }

    /// For the answer to a page of another site that the project allows; empty for requests of no such page.
    private func pageHeaders(_ request: Request, _ project: ProjectID) throws(Problem) -> HTTPFields {
        guard let origin = sites.foreignOrigin(of: request) else { return [:] }
        guard let access, access.directory.allows(origin, of: project) else {
            throw Problem(
                .originNotAllowed,
                "The project of this key does not allow pages of '\(origin.clipped)' to send events. Its administrator can add the site to "
                    + "its allowed origins."
            ).closingConnection()
        }
        return CrossOrigin.answer(to: origin)
    }
}

extension HTTPFields {
    /// Adds those whose names are not there yet.
    fileprivate mutating func add(_ fields: HTTPFields) {
        for field in fields where self[field.name] == nil { self[field.name] = field.value }
    }
}

/// Authenticates the caller of a stream again while it is sent: a key that was revoked in the meantime reads nothing more.
final class RepeatedCheck: Sendable {
    /// With the time for which ``KeyDirectory`` keeps a state, a revocation ends a stream within 30 s.
    static let interval: Duration = .seconds(10)

    private let elapsed: ElapsedClock
    private let last: Mutex<Duration>
    private let authenticate: @Sendable () async throws -> Void

    init(elapsed: ElapsedClock, _ authenticate: @escaping @Sendable () async throws -> Void) {
        self.elapsed = elapsed
        self.authenticate = authenticate
        last = Mutex(elapsed.now())
    }

    /// Called before bytes are sent.
    func check() async throws {
        let isDue = last.withLock { last in
            let now = elapsed.now()
            guard now - last >= Self.interval else { return false }
            last = now
            return true
        }
        if isDue { try await authenticate() }
    }
}
