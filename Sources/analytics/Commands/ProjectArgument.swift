public import AnalyticsCore
public import ArgumentParser

/// `--project` on the command line.
extension ProjectID: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

/// `--scope` on the command line.
extension Scope: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(rawValue: argument)
    }
}
