public import AnalyticsCore
internal import Hummingbird
internal import Synchronization

/// The services behind projects, keys, accounts and sessions.
public struct AccessServices: Sendable {
    var keys: Keys
    var projects: Projects
    var accounts: Accounts
    var signIn: SignIn
    var provider: ProviderSignIn?
    var audit: AuditLog
    var directory: ProjectDirectory
    var rates: RateLimiter
    var changes: ChangeLimiter
    private let existing = ExistingProjects()

    /// - Parameters:
    ///   - signIn: Begins the sessions that the authenticator knows: both have the same ``SessionDirectory``.
    ///   - provider: `nil`: people sign in with passwords only.
    ///   - directory: Says which projects are archived, and which sites they allow.
    ///   - rates: Counts requests. The collector counts events by the same.
    ///   - changes: Counts requests that change projects, keys, members and accounts.
    public init(
        keys: Keys, projects: Projects, accounts: Accounts, signIn: SignIn, provider: ProviderSignIn? = nil, audit: AuditLog,
        directory: ProjectDirectory, rates: RateLimiter, changes: ChangeLimiter = ChangeLimiter()
    ) {
        self.keys = keys
        self.projects = projects
        self.accounts = accounts
        self.signIn = signIn
        self.provider = provider
        self.audit = audit
        self.directory = directory
        self.rates = rates
        self.changes = changes
    }

    /// Takes a request of the project and the key. Throws if the project is archived and the request would send events, or if one of them
    /// has used up its rate.
    ///
    /// Returns what is left of the rate of requests; `nil` if there is none.
    ///
    /// - Parameter request: `nil` if it has no connection of its own.
    func admit(_ principal: Principal, _ scope: Scope, for request: Request? = nil) async throws(Problem) -> Rate? {
        if scope == .write, directory.isArchived(principal.project) {
            throw Problem(
                .projectArchived, "The project '\(principal.project)' is archived and accepts no events. Its administrator can restore it."
            ).closingConnection()
        }
        let rate = await rates.takeRequest(of: principal.project, key: principal.limitedKey, sendsEvents: scope == .write)
        guard let rate else { return nil }
        guard rate.isAllowed else { throw Problem.rateLimited(rate, of: .requests).closingConnection().keepingConnection(of: request) }
        return rate
    }

    func exists(_ project: ProjectID) async throws(StoreError) -> Bool {
        if existing.contains(project) { return true }
        guard try await projects.existing(project) != nil else { return false }
        existing.insert(project)
        return true
    }
}

/// Projects that were found in the store. They are never deleted, so each is read once.
private final class ExistingProjects: Sendable {
    private let projects = Mutex<Set<ProjectID>>([])

    func contains(_ project: ProjectID) -> Bool { projects.withLock { $0.contains(project) } }

    func insert(_ project: ProjectID) { projects.withLock { _ = $0.insert(project) } }
}
