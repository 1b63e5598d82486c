/// Who a request is from, as authentication found out: whose events it is about, and what it may do with them.
public struct Principal: Sendable, Equatable {
    public let project: ProjectID
    public let scopes: Set<Scope>

    public init(project: ProjectID, scopes: Set<Scope>) {
        self.project = project
        self.scopes = scopes
    }
}

/// What a route lets its caller do.
public enum Scope: String, Sendable, CaseIterable {
    /// Send events.
    case write
    /// Ask what is stored.
    case read
    /// Change what is kept about a project.
    case admin
}
