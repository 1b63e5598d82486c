/// The authenticated caller of a request: its project, and what it may do there.
public struct Principal: Sendable, Equatable {
    public let project: ProjectID
    public let scopes: Set<Scope>
    /// The id of the key that the request carried; `nil` without a key.
    public let key: String?
    /// The ids of the account that has signed in, and of its session; `nil` with a key.
    public let account: String?
    public let session: String?
    /// The key, if it has rates of its own.
    public let limitedKey: LimitedKey?

    public init(
        project: ProjectID, scopes: Set<Scope>, key: String? = nil, account: String? = nil, session: String? = nil,
        limitedKey: LimitedKey? = nil
    ) {
        self.project = project
        self.scopes = scopes
        self.key = key
        self.account = account
        self.session = session
        self.limitedKey = limitedKey
    }
}

/// A key with rates of its own, beside those of its project.
public struct LimitedKey: Sendable, Equatable {
    public var id: String
    public var rates: ProjectRates

    public init(id: String, rates: ProjectRates) {
        self.id = id
        self.rates = rates
    }
}

/// A permission that a route requires.
public enum Scope: String, Sendable, CaseIterable {
    /// Send events.
    case write
    /// Read stored data.
    case read
    /// Change what is stored about a project, and manage its keys and members.
    case admin

    /// What a key of this scope may do. An administrator may do everything in the project.
    public var granted: Set<Scope> { self == .admin ? Set(Scope.allCases) : [self] }
}

/// A caller that manages projects, keys and members.
public struct Administrator: Sendable, Equatable {
    public enum Realm: Sendable, Equatable {
        /// Every project, and the accounts: the bearer of `ADMIN_TOKEN`, administrators of the instance, and commands.
        case instance
        case projects(Set<ProjectID>)
    }

    public let realm: Realm
    public let actor: ChangeAuthor
    /// The client's address, for the audit log; `nil` for commands.
    public let address: String?

    public init(_ realm: Realm, actor: ChangeAuthor, address: String? = nil) {
        self.realm = realm
        self.actor = actor
        self.address = address
    }

    public static let command = Administrator(.instance, actor: .command)

    public var isOfInstance: Bool { realm == .instance }

    public func manages(_ project: ProjectID) -> Bool {
        switch realm {
        case .instance: true
        case .projects(let own): own.contains(project)
        }
    }

    /// The same caller, for this project only.
    public func only(_ project: ProjectID) -> Administrator {
        Administrator(.projects(manages(project) ? [project] : []), actor: actor, address: address)
    }
}
