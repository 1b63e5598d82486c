public import AnalyticsCore

extension ProjectID: ExpressibleByStringInterpolation {
    /// In tests alone: elsewhere a project comes from whoever authenticates, or from a store.
    public init(stringLiteral name: String) {
        guard let project = ProjectID(name) else { preconditionFailure("'\(name)' is no project") }
        self = project
    }
}

package enum Project {
    package static let `default`: ProjectID = "default"
}
