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
        case open(@Sendable (Request, APIRequestContext) async throws -> Response)
        case scoped(Scope, @Sendable (Request, APIRequestContext, Principal) async throws -> Response)
    }

    /// One that everybody may use.
    init(
        open method: HTTPRequest.Method, _ path: String,
        _ handler: @escaping @Sendable (Request, APIRequestContext) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .open(handler)
    }

    /// One for principals with this scope. The handler has the project from nowhere else.
    init(
        _ method: HTTPRequest.Method, _ path: String, _ scope: Scope,
        _ handler: @escaping @Sendable (Request, APIRequestContext, Principal) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.handler = .scoped(scope, handler)
    }

    /// Admits the caller, then handles the request. Nothing of the body is read before.
    func respond(
        to request: Request, _ context: APIRequestContext, admittedBy authenticator: any Authenticator
    ) async throws -> Response {
        switch handler {
        case .open(let handle): return try await handle(request, context)
        case .scoped(let scope, let handle):
            let principal = try await authenticator.principal(of: request, with: scope)
            guard scope != .admin || Self.isOfNoOtherSite(request) else {
                throw Problem(.insufficientScope, "Pages of other sites may not do this: 'Origin' does not name this service.")
                    .closingConnection()
            }
            return try await handle(request, context, principal)
        }
    }

    /// Browsers say from which page a request that changes something comes (Fetch, 3.2). Who may reach the service need not be who wrote that
    /// page.
    private static func isOfNoOtherSite(_ request: Request) -> Bool {
        guard let origin = request.headers[.origin] else { return true }
        return ["http://", "https://"].contains { origin.equalsUTF8($0 + (request.head.authority ?? "")) }
    }
}

/// All routes, in the order in which they are tried: a path without parameters stands before one with them.
struct RouteTable: Sendable {
    var routes: [Route]

    /// What can be done at a path; `nil` when nothing is there.
    func methods(at path: String) -> [HTTPRequest.Method]? {
        let segments = path.splitUTF8("/")
        guard let match = routes.first(where: { Self.matches($0.path.splitUTF8("/"), segments) }) else { return nil }
        let methods = routes.filter { $0.path.equalsUTF8(match.path) }.map(\.method)
        return methods + (methods.contains(.get) ? [.head] : []) + [.options]
    }

    private static func matches(_ pattern: [Substring], _ segments: [Substring]) -> Bool {
        pattern.count == segments.count && zip(pattern, segments).allSatisfy { $0.equalsUTF8($1) || $0.starts(withUTF8: "{") }
    }
}
