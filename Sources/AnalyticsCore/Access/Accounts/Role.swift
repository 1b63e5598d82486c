/// What a member may do in a project.
public enum Role: String, Sendable, CaseIterable, Codable {
    case viewer
    case editor
    /// Also manages the project, its keys and its members.
    case owner

    public var scopes: Set<Scope> {
        switch self {
        case .viewer: [.read]
        case .editor: [.read, .write]
        case .owner: Set(Scope.allCases)
        }
    }
}
