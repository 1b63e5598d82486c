public import AnalyticsCore
public import Hummingbird

/// Authenticates requests. The only place that makes a principal or an administrator.
public protocol Authenticator: Sendable {
    /// Called before any of the body is read. Throws the error for the caller: 401 if the request is not authenticated.
    ///
    /// - Parameters:
    ///   - scope: The scope that the route needs. A key in the query is read for `write` only. The caller of this function checks that the
    ///     principal has the scope.
    ///   - peer: The client's address, for the limit on unknown keys.
    func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal

    /// The same for routes that manage projects and keys.
    func administrator(of request: Request, from peer: String) async throws -> Administrator

    /// Whether a key is required. If not, ``SiteRule`` keeps out pages of other sites by `Host` and `Origin`.
    func asksForKey() async throws -> Bool
}

extension Authenticator {
    /// A principal with the scope `admin` manages its project.
    public func administrator(of request: Request, from peer: String) async throws -> Administrator {
        .project(try await principal(of: request, with: .admin, from: peer).project)
    }

    /// Throws 403 if the principal does not have the scope.
    func principal(of request: Request, with scope: Scope, from peer: String) async throws -> Principal {
        let principal = try await principal(of: request, for: scope, from: peer)
        guard principal.scopes.contains(scope) else {
            throw Problem(.insufficientScope, "This needs the scope '\(scope.rawValue)'. Use a key that has it.").closingConnection()
        }
        return principal
    }
}

/// No keys are asked for: every caller has all scopes in the only project.
public struct AnonymousAccess: Authenticator {
    public static let project = ProjectID.first

    static let owner = Principal(project: project, scopes: Set(Scope.allCases))

    public init() {}

    public func asksForKey() async throws -> Bool { false }

    public func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal { Self.owner }
}
