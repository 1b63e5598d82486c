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

    /// Admits the caller before any of the body is read, then handles the request.
    func respond(to request: Request, _ context: APIRequestContext, admittedBy admission: Admission) async throws -> Response {
        switch handler {
        case .open(let toOtherSites, let handle):
            if !toOtherSites { try admission.sites.check(request) }
            return try await handle(request, context)
        case .scoped(let scope, let handle):
            return try await handle(request, context, try await admission.principal(of: request, with: scope))
        }
    }
}

/// Admits or refuses a request before any of its body is read.
struct Admission: Sendable {
    let authenticator: any Authenticator
    let sites: SiteRule

    /// Without keys, pages of other sites are refused. Admin routes refuse them in any case, because a browser may send an administrator's
    /// credentials by itself.
    func principal(of request: Request, with scope: Scope) async throws -> Principal {
        if !authenticator.asksForKey { try sites.check(request) }
        let principal = try await authenticator.principal(of: request, with: scope)
        if scope == .admin { try sites.checkOrigin(of: request) }
        return principal
    }
}

/// All routes in match order: a path without parameters comes before a path with them.
struct RouteTable: Sendable {
    var routes: [Route]

    /// The methods of a path; `nil` if no route has it.
    func methods(at path: String) -> [HTTPRequest.Method]? {
        guard Self.isPlain(path) else { return nil }
        let segments = path.splitUTF8("/")
        guard let match = routes.first(where: { Self.matches($0.path.splitUTF8("/"), segments) }) else { return nil }
        let methods = routes.filter { $0.path.equalsUTF8(match.path) }.map(\.method)
        return methods + (methods.contains(.get) ? [.head] : []) + [.options]
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
