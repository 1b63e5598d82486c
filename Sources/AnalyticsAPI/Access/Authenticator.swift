public import AnalyticsCore
public import Hummingbird

/// Authenticates requests. The only place that makes a principal.
public protocol Authenticator: Sendable {
    /// Called before any of the body is read. Throws the error for the caller: 401 if the request is not authenticated.
    func principal(of request: Request) async throws -> Principal

    /// Whether a key is required. If not, ``SiteRule`` keeps out pages of other sites by `Host` and `Origin`.
    var asksForKey: Bool { get }
}

extension Authenticator {
    public var asksForKey: Bool { false }

    /// Throws 403 if the principal does not have the scope.
    func principal(of request: Request, with scope: Scope) async throws -> Principal {
        let principal = try await principal(of: request)
        guard principal.scopes.contains(scope) else {
            throw Problem(.insufficientScope, "This needs the scope '\(scope.rawValue)'. Use a key that has it.").closingConnection()
        }
        return principal
    }
}

/// No keys are configured: every caller has all scopes in the only project.
public struct AnonymousAccess: Authenticator {
    public static let project = ProjectID("default")!

    public init() {}

    public func principal(of request: Request) async throws -> Principal {
        Principal(project: Self.project, scopes: Set(Scope.allCases))
    }
}
