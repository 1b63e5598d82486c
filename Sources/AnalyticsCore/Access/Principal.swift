/// The authenticated caller of a request: its project, and what it may do there.
public struct Principal: Sendable, Equatable {
    public let project: ProjectID
    public let scopes: Set<Scope>
    /// The id of the key that the request carried; `nil` without a key.
    public let key: String?

    public init(project: ProjectID, scopes: Set<Scope>, key: String? = nil) {
        self.project = project
        self.scopes = scopes
        self.key = key
    }
}

/// A permission that a route requires.
public enum Scope: String, Sendable, CaseIterable {
    /// Send events.
    case write
    /// Read stored data.
    case read
    /// Change what is stored about a project, and manage its keys.
    case admin

    /// What a key of this scope may do. An administrator may do everything in the project.
    public var granted: Set<Scope> { self == .admin ? Set(Scope.allCases) : [self] }
}

/// A caller that manages projects and keys.
public enum Administrator: Sendable, Equatable {
    /// Manages every project: the bearer of `ADMIN_TOKEN`, and commands.
    case instance
    /// Manages one project.
    case project(ProjectID)

    public func manages(_ project: ProjectID) -> Bool {
        switch self {
        case .instance: true
        case .project(let own): own == project
        }
    }
}
