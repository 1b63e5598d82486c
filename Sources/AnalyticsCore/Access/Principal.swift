/// The authenticated caller of a request: its project, and what it may do there.
public struct Principal: Sendable, Equatable {
    public let project: ProjectID
    public let scopes: Set<Scope>

    public init(project: ProjectID, scopes: Set<Scope>) {
        self.project = project
        self.scopes = scopes
    }
}

/// A permission that a route requires.
public enum Scope: String, Sendable, CaseIterable {
    /// Send events.
    case write
    /// Read stored data.
    case read
    /// Change what is stored about a project.
    case admin
}
