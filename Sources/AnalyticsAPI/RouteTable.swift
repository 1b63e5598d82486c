internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// One method at one path.
struct Route: Sendable {
    var method: HTTPRequest.Method
    /// As the OpenAPI document writes it: `/api/v1/events/{id}`.
    var path: String
    private var handler: Handler

    private enum Handler: Sendable {
        case open(toOtherSites: Bool, @Sendable (Request, APIRequestContext) async throws -> Response)
        case scoped(Scope, @Sendable (Request, APIRequestContext, Principal) async throws -> Response)
        case managed(@Sendable (Request, APIRequestContext, Administrator) async throws -> Response)
        case personal(@Sendable (Request, APIRequestContext, Caller) async throws -> Response)
        case signIn(@Sendable (Request, APIRequestContext) async throws -> Response)
    }

    /// A route without authentication.
    ///
    /// - Parameter toOtherSites: Pages of other sites may use it too. Only for routes that tell nothing of events.
    init(
        open method: HTTPRequest.Method, _ path: String, toOtherSites: Bool = true,
        _ handler: @escaping @Sendable (Request, APIRequestContext) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .open(toOtherSites: toOtherSites, handler)
    }

    /// A route for principals with this scope. The handler takes the project from the principal only.
    init(
        _ method: HTTPRequest.Method, _ path: String, _ scope: Scope,
        _ handler: @escaping @Sendable (Request, APIRequestContext, Principal) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .scoped(scope, handler)
    }

    /// A route that manages projects, keys and accounts. The handler checks that the administrator manages the project, or the instance.
    init(
        managed method: HTTPRequest.Method, _ path: String,
        _ handler: @escaping @Sendable (Request, APIRequestContext, Administrator) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .managed(handler)
    }

    /// A route that tells a caller about itself.
    init(
        caller method: HTTPRequest.Method, _ path: String,
        _ handler: @escaping @Sendable (Request, APIRequestContext, Caller) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .personal(handler)
    }

    /// A route for a person about their own account: it needs a session.
    init(
        account method: HTTPRequest.Method, _ path: String,
        _ handler: @escaping @Sendable (Request, APIRequestContext, SignedIn) async throws -> Response
    ) {
        self.init(caller: method, path) { request, context, caller in
            guard case .account(let signedIn) = caller else { throw Problem.needsSession }
            return try await handler(request, context, signedIn)
        }
    }

    /// A route that begins a session, without authentication. Pages of other sites may not use it: they could sign a person in as somebody
    /// else.
    init(
        signIn method: HTTPRequest.Method, _ path: String,
        _ handler: @escaping @Sendable (Request, APIRequestContext) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .signIn(handler)
    }

    /// The scope that a principal needs; `nil` for routes of other kinds.
    var scope: Scope? {
        if case .scoped(let scope, _) = handler { scope } else { nil }
    }

    /// Admits the caller before any of the body is read, then handles the request.
    func respond(to request: Request, _ context: APIRequestContext, admittedBy admission: Admission) async throws -> Response {
        switch handler {
        case .open(let toOtherSites, let handle):
            if !toOtherSites { try admission.sites.check(request) }
            return try await handle(request, context)
        case .scoped(let scope, let handle):
            return try await admission.respond(to: request, context, with: scope, handle)
        case .managed(let handle):
            return try await admission.respond(to: request, context, handle)
        case .personal(let handle):
            return try await admission.respond(to: request, context, handle)
        case .signIn(let handle):
            try admission.sites.checkOrigin(of: request)
            return try await handle(request, context).notStored()
        }
    }
}

extension Problem {
    fileprivate static var needsSession: Problem {
        Problem(.insufficientScope, "This is about the account of a person. Sign in with POST /api/v1/auth/sign-in, and send the cookie.")
            .closingConnection()
    }
}

/// All routes in match order: a path without parameters comes before a path with them.
struct RouteTable: Sendable {
    var routes: [Route]

    /// The methods of a path; `nil` if no route has it.
    func methods(at path: String) -> [HTTPRequest.Method]? {
        let methods = matching(path).map(\.method)
        return methods.isEmpty ? nil : methods + (methods.contains(.get) ? [.head] : []) + [.options]
    }

    /// The scope of the route with this method at a path; `nil` if there is none, or if it needs no scope.
    func scope(of method: HTTPRequest.Method, at path: String) -> Scope? { matching(path).first { $0.method == method }?.scope }

    private func matching(_ path: String) -> [Route] {
        guard Self.isPlain(path) else { return [] }
        let segments = path.splitUTF8("/")
        guard let match = routes.first(where: { Self.matches($0.path.splitUTF8("/"), segments) }) else { return [] }
        return routes.filter { $0.path.equalsUTF8(match.path) }
    }

    /// No segment is empty.
    static func isPlain(_ path: String) -> Bool {
        var last = UInt8(ascii: "x")
        for byte in path.utf8 {
            if byte == UInt8(ascii: "/"), last == byte { return false }
            last = byte
        }
        return last != UInt8(ascii: "/")
    }

    private static func matches(_ pattern: [Substring], _ segments: [Substring]) -> Bool {
        pattern.count == segments.count && zip(pattern, segments).allSatisfy { $0.equalsUTF8($1) || $0.starts(withUTF8: "{") }
    }
}
