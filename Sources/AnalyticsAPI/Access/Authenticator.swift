public import AnalyticsCore
public import Hummingbird

/// Finds out who a request is from. The only place where a principal is made.
public protocol Authenticator: Sendable {
    /// Asked before anything of the body is read. Throws what the caller is answered: 401 where nobody is known.
    func principal(of request: Request) async throws -> Principal

    /// Whether nobody is let in without a key. Else pages of other sites are kept out by their `Host` and `Origin`.
    var asksForKey: Bool { get }
}

extension Authenticator {
    public var asksForKey: Bool { false }

    /// The same for what needs a scope.
    func principal(of request: Request, with scope: Scope) async throws -> Principal {
        let principal = try await principal(of: request)
        guard principal.scopes.contains(scope) else {
            throw Problem(.insufficientScope, "This needs the scope '\(scope.rawValue)'. Use a key that has it.").closingConnection()
        }
        return principal
    }
}

/// No keys are configured: everybody may do everything in the one project there is.
public struct AnonymousAccess: Authenticator {
    public static let project = ProjectID("default")!

    public init() {}

    public func principal(of request: Request) async throws -> Principal {
        Principal(project: Self.project, scopes: Set(Scope.allCases))
    }
}
