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
    /// For requests about projects, keys and accounts: they read the store where keys are looked up too.
    private let managing = RequestSlots(
        limit: 8, full: "Too many requests about projects, keys and accounts are being handled. Send this one again in a moment.")

    init(_ services: APIServices, _ settings: APISettings, elapsed: ElapsedClock = .system) {
        authenticator = services.authenticator
        sites = SiteRule(settings)
        clientAddress = ClientAddressRule(settings)
        access = services.access
        self.elapsed = elapsed
    }

    /// Handles a request that needs a scope.
    ///
    /// Without keys, pages of other sites are refused. Admin routes and sessions refuse them in any case, because a browser may send the
    /// credentials by itself.
    func respond(
        to request: Request, _ context: APIRequestContext, with scope: Scope,
        _ handle: @Sendable (Request, APIRequestContext, Principal) async throws -> Response
    ) async throws -> Response {
        let asksForKey = try await authenticator.asksForKey()
        if !asksForKey { try sites.check(request) } else if scope == .admin { try sites.checkOrigin(of: request) }
        let peer = peer(of: request, context)
        let principal = try await authenticator.principal(of: request, with: scope, from: peer)
        let asked = try await principal.session == nil ? request : admitSession(request, for: principal.project)
        var headers = try scope == .write ? pageHeaders(request, principal.project) : [:]
        // The same URL has the data of another project with another key or `X-Project`.
        if !request.isChange { headers[.cacheControl] = "no-store" }
        do {
            let rate = try await access?.admit(principal, scope, for: request)
            if let rate { headers.append(contentsOf: RateHeaders.fields(rate, of: .requests)) }
            var response = try await handle(asked, context, principal)
            response.headers.add(headers)
            // A stream of any length: of live events, or an export.
            if response.body.contentLength == nil {
                let again = RepeatedCheck(elapsed: elapsed) { [authenticator] in
                    let now = try await authenticator.principal(of: request, with: scope, from: peer)
                    // A request that names no project is for the only one of its account, which may have become another.
                    guard now.project == principal.project else { throw Problem.notMember }
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

    /// Checks a request with a session, and returns it as its route reads it.
    private func admitSession(_ request: Request, for project: ProjectID) async throws -> Request {
        try sites.checkSession(of: request)
        // An administrator of the instance has a role in projects that do not exist, too.
        guard try await access?.exists(project) ?? true else { throw Problem.notMember }
        return ChosenProject.removed(from: request)
    }

    /// Handles a request that manages projects, keys and members.
    func respond(
        to request: Request, _ context: APIRequestContext,
        _ handle: @Sendable (Request, APIRequestContext, Administrator) async throws -> Response
    ) async throws -> Response {
        try await checkSite(of: request)
        let peer = peer(of: request, context)
        let administrator = try await authenticator.administrator(of: request, from: peer)
        let hasSession = if case .account = administrator.actor { true } else { false }
        if hasSession { try sites.checkSession(of: request) }
        try admitChange(request, by: administrator.actor, from: peer)
        return try await managed(context) { context in
            do {
                return try await handle(request, context, administrator)
            } catch is KeyRefusal where hasSession {
                // Its session, or its role, has ended since the request began.
                throw Problem(SessionRefusal.unknown)
            }
        }
    }

    /// Handles a request of a caller about itself.
    func respond(
        to request: Request, _ context: APIRequestContext,
        _ handle: @Sendable (Request, APIRequestContext, Caller) async throws -> Response
    ) async throws -> Response {
        try await checkSite(of: request)
        let peer = peer(of: request, context)
        let caller = try await authenticator.caller(of: request, from: peer)
        if case .account(let signedIn) = caller {
            try sites.checkSession(of: request)
            try admitChange(request, by: .account(signedIn.account.id, session: signedIn.session.id), from: peer)
        }
        return try await managed(context) { context in try await handle(request, context, caller) }
    }

    /// Throws if the request would change something, and its author has changed too much in the last seconds.
    private func admitChange(_ request: Request, by author: ChangeAuthor, from peer: String) throws(Problem) {
        guard request.isChange, let rate = access?.changes.take(by: author, from: peer), !rate.isAllowed else { return }
        throw Problem.tooManyChanges(rate)
    }

    private func checkSite(of request: Request) async throws {
        if try await authenticator.asksForKey() { try sites.checkOrigin(of: request) } else { try sites.check(request) }
    }

    /// - Parameter handle: Called if few enough others are running.
    private func managed(
        _ context: APIRequestContext, _ handle: (APIRequestContext) async throws -> Response
    ) async throws -> Response {
        let slot = try managing.take()
        defer { withExtendedLifetime(slot) {} }
        var context = context
        context.slot = slot
        return try await handle(context).notStored()
    }

    /// Whether the caller may see what is about any project: everybody while no key is needed, then the administrator of the instance.
    func showsAllProjects(to request: Request, _ context: APIRequestContext) async -> Bool {
        do {
            guard try await authenticator.asksForKey() else { return true }
            return try await authenticator.administrator(of: request, from: peer(of: request, context)).isOfInstance
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

extension Response {
    /// It is of one caller, and may change: browsers and proxies keep no copy.
    func notStored() -> Response {
        var response = self
        response.headers[.cacheControl] = "no-store"
        return response
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
