public import AnalyticsCore
public import Hummingbird

/// Finds out who a request is from. The only place where a principal is made.
public protocol Authenticator: Sendable {
    /// Asked before anything of the body is read. Throws what the caller is answered: 401 where nobody is known.
    func principal(of request: Request) async throws -> Principal
}

/// No keys are configured: everybody may do everything in the one project there is.
public struct AnonymousAccess: Authenticator {
    public static let project = ProjectID("default")!

    public init() {}

    public func principal(of request: Request) async throws -> Principal {
        Principal(project: Self.project, scopes: Set(Scope.allCases))
    }
}
