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

/// `--role` on the command line.
extension Role: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(rawValue: argument)
    }
}

/// `--email` on the command line.
extension EmailAddress: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
