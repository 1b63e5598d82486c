public import AnalyticsCore
internal import HTTPTypes
public import Hummingbird

/// Authenticates requests by their keys and sessions.
///
/// A credential that is sent is checked, also while none is needed: a wrong key is an error, never ignored. A request with a key and the
/// cookie of a session is the key's.
public struct KeyAccess: Authenticator {
    private let directory: KeyDirectory
    private let sessions: SessionDirectory?
    private let latch: AnonymousLatch
    private let allowsAnonymous: Bool
    private let adminToken: AdminToken?
    private let cookie: HostCookie

    /// - Parameters:
    ///   - sessions: `nil`: no request has a session.
    ///   - latch: Closed permanently by the first key or account.
    ///   - allowsAnonymous: Until then, a caller without a key is the owner of the project `default`. If false, every request needs a key or
    ///     a session.
    ///   - adminToken: `ADMIN_TOKEN`: its bearer manages all projects. `nil`: nobody does.
    ///   - settings: Those of the API whose requests it authenticates.
    public init(
        directory: KeyDirectory, sessions: SessionDirectory? = nil, latch: AnonymousLatch, allowsAnonymous: Bool, adminToken: String?,
        settings: APISettings = APISettings()
    ) {
        self.directory = directory
        self.sessions = sessions
        self.latch = latch
        self.allowsAnonymous = allowsAnonymous
        self.adminToken = adminToken.map(AdminToken.init)
        cookie = .session(settings)
    }

    public func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal {
        switch try await caller(of: request, allowsQuery: scope == .write, from: peer) {
        case .account(let signedIn): return try signedIn.principal(of: request)
        case .key(let key): return key.principal
        case .anonymous: return AnonymousAccess.owner
        case .administrator:
            throw Problem(
                .insufficientScope, "ADMIN_TOKEN manages projects and keys, and is of no project. Use a key of the project here."
            ).closingConnection()
        }
    }

    public func administrator(of request: Request, from peer: String) async throws -> Administrator {
        switch try await caller(of: request, from: peer) {
        case .account(let signedIn): return Administrator(try signedIn.realm(), signedIn.actor, from: peer)
        case .key(let key):
            guard key.scope == .admin else { throw Problem.lacksScope(.admin, "Use a key that has it.") }
            return Administrator(.projects([key.project]), .key(key.id), from: peer)
        case .administrator: return Administrator(.instance, .administrator, from: peer)
        case .anonymous: return Administrator(.projects([AnonymousAccess.project]), .anonymous, from: peer)
        }
    }

    public func caller(of request: Request, from peer: String) async throws -> Caller {
        try await caller(of: request, allowsQuery: false, from: peer)
    }

    /// Throws if the store cannot be read and this process has never read it: then it is unknown whether there are keys.
    public func asksForKey() async throws -> Bool {
        guard allowsAnonymous else { return true }
        do throws(StoreError) {
            return try await latch.isClosed()
        } catch {
            throw Problem(.storeUnavailable, "The store does not say whether a key is needed. Send this again in a moment.")
                .closingConnection()
        }
    }

    private func caller(of request: Request, allowsQuery: Bool, from peer: String) async throws -> Caller {
        do throws(Problem) {
            if let text = try Credential.text(of: request, allowsQuery: allowsQuery) { return try await caller(with: text, from: peer) }
        } catch {
            throw error.status == .unauthorized ? error.keepingConnection(of: request) : error
        }
        if let sessions, let text = try cookie.value(of: request, from: peer) {
            do throws(SessionRefusal) {
                guard let token = SessionToken(text) else { throw .unknown }
                return .account(try await sessions.session(token, from: peer))
            } catch {
                throw Problem(error).removing(cookie, to: request, from: peer)
            }
        }
        guard try await asksForKey() else { return .anonymous }
        throw Problem.missingKey(isAnyMade: (try? await latch.isClosed()) ?? true, maySignIn: sessions != nil)
            .keepingConnection(of: request)
    }

    private func caller(with text: String, from peer: String) async throws(Problem) -> Caller {
        guard let key = APIKey(text) else {
            guard adminToken?.isSame(as: text) == true else { throw Problem.invalidKey }
            return .administrator
        }
        do throws(KeyRefusal) {
            return .key(try await directory.key(key, from: peer))
        } catch {
            throw Problem(error)
        }
    }
}

extension SignedIn {
    /// With the role of the account in the project that the request names, or in its only one.
    fileprivate func principal(of request: Request) throws(Problem) -> Principal {
        let named = try ChosenProject.name(of: request)
        guard let name = named ?? onlyProject?.name else { throw .projectRequired }
        guard let project = ProjectID(name), let role = account.role(in: project) else { throw .notMember }
        return Principal(project: project, scopes: role.scopes, account: account.id, session: session.id)
    }

    /// An administrator of the instance has a role in every project, and names it.
    private var onlyProject: ProjectID? {
        account.roles.count == 1 && !account.isAdministrator ? account.roles.keys.first : nil
    }

    fileprivate var actor: ChangeAuthor { .account(account.id, session: session.id) }

    /// Throws 403 if the account manages nothing.
    fileprivate func realm() throws(Problem) -> Administrator.Realm {
        if account.isAdministrator { return .instance }
        let owned = account.roles.filter { $0.value == .owner }.keys
        guard !owned.isEmpty else {
            throw Problem(.insufficientScope, "The account is owner of no project. Owners manage projects, their keys and their members.")
                .closingConnection()
        }
        return .projects(Set(owned))
    }
}

/// `ADMIN_TOKEN` as the first 128 bits of its SHA-256. Comparing takes the same time wherever two digests differ, and a digest depends on
/// every character of a token.
private struct AdminToken {
    private let digest: String

    init(_ token: String) {
        digest = Digest.hexadecimal(of: [token])
    }

    func isSame(as text: String) -> Bool {
        zip(digest.utf8, Digest.hexadecimal(of: [text]).utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension Problem {
    private static let howToSend = "Send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'."

    /// - Parameters:
    ///   - isAnyMade: Whether the service has, or had, a key or an account.
    ///   - maySignIn: Whether a session will do, too.
    static func missingKey(isAnyMade: Bool, maySignIn: Bool) -> Problem {
        let session = maySignIn ? " People sign in with POST /api/v1/auth/sign-in." : ""
        let first = isAnyMade ? "" : " No key or account was made yet; 'analytics keys create --project default --scope write' makes a key."
        return Problem(.missingKey, "This needs a key. \(howToSend)\(session)\(first)").closingConnection()
    }

    /// The same for a text that is no key and for a key that was never made.
    static var invalidKey: Problem {
        Problem(.invalidKey, "What was sent is no key of this service. Check that it is whole. \(howToSend)").closingConnection()
    }

    init(_ refusal: KeyRefusal) {
        self =
            switch refusal {
            case .unknown: .invalidKey
            case .revoked: Problem(.revokedKey, "The key was revoked. Use another key of the project.")
            case .expired: Problem(.expiredKey, "The key has expired. Use another key of the project.")
            case .tooManyUnknown(let retryAfter):
                .tooManyAttempts(
                    "Too many keys that this service does not know were sent, by this client or by all together. Check the key.", retryAfter
                )
            case .unavailable:
                Problem(
                    .storeUnavailable,
                    "The store did not answer in time, and this process does not know the key. Send this again in a moment.")
            }
        self = closingConnection()
    }

    fileprivate static var projectRequired: Problem {
        Problem(
            .projectRequired,
            "Name the project, as 'X-Project: shop' or as '?project=shop'. GET /api/v1/auth/me lists those of the account."
        ).closingConnection()
    }

    /// The same for a project in which the account has no role and for one that does not exist.
    static var notMember: Problem {
        Problem(.projectNotFound, "The account has no role in a project with this id. GET /api/v1/auth/me lists those in which it has one.")
            .closingConnection()
    }

    /// A browser forgets a session that has ended. It would send it for 30 days, and a page cannot remove it.
    fileprivate func removing(_ cookie: HostCookie, to request: Request, from peer: String) -> Problem {
        var problem = self
        if status == .unauthorized { problem.headers[.setCookie] = cookie.removal(to: request, from: peer) }
        return problem
    }
}
