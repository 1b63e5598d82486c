public import AnalyticsCore
public import Hummingbird

/// Authenticates requests. The only place that makes a principal, an administrator or a caller.
public protocol Authenticator: Sendable {
    /// Called before any of the body is read. Throws the error for the caller: 401 if the request is not authenticated.
    ///
    /// - Parameters:
    ///   - scope: The scope that the route needs. A key in the query is read for `write` only. The caller of this function checks that the
    ///     principal has the scope.
    ///   - peer: The client's address, for the limit on unknown keys and sessions.
    func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal

    /// The same for routes that manage projects, keys and members.
    func administrator(of request: Request, from peer: String) async throws -> Administrator

    /// The same for routes that tell a caller about itself.
    func caller(of request: Request, from peer: String) async throws -> Caller

    /// Whether a key is required. If not, ``SiteRule`` keeps out pages of other sites by `Host` and `Origin`.
    func asksForKey() async throws -> Bool
}

/// A caller of the service, whatever it may do.
public enum Caller: Sendable {
    /// A person, with a session.
    case account(SignedIn)
    case key(StoredKey)
    /// The bearer of `ADMIN_TOKEN`.
    case administrator
    /// A caller without a credential, while none is needed.
    case anonymous
}

extension Authenticator {
    /// A principal with the scope `admin` manages its project.
    public func administrator(of request: Request, from peer: String) async throws -> Administrator {
        let principal = try await principal(of: request, with: .admin, from: peer)
        return Administrator(.projects([principal.project]), .anonymous, from: peer)
    }

    /// Without keys and accounts, every caller is anonymous.
    public func caller(of request: Request, from peer: String) async throws -> Caller {
        _ = try await principal(of: request, for: .read, from: peer)
        return .anonymous
    }

    /// Throws 403 if the principal does not have the scope.
    func principal(of request: Request, with scope: Scope, from peer: String) async throws -> Principal {
        let principal = try await principal(of: request, for: scope, from: peer)
        guard principal.scopes.contains(scope) else {
            throw Problem.lacksScope(
                scope, principal.session == nil ? "Use a key that has it." : "The role of this account does not have it.")
        }
        return principal
    }
}

extension Administrator {
    /// - Parameter peer: The client's address; empty if it is unknown.
    init(_ realm: Realm, _ actor: ChangeAuthor, from peer: String) {
        self.init(realm, actor: actor, address: peer.isEmpty ? nil : peer)
    }
}

extension Problem {
    /// - Parameter advice: What the caller can do.
    static func lacksScope(_ scope: Scope, _ advice: String) -> Problem {
        Problem(.insufficientScope, "This needs the scope '\(scope.rawValue)'. \(advice)").closingConnection()
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
