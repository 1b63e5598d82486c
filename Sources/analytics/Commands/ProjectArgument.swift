public import AnalyticsCore
public import ArgumentParser

/// `--project` on the command line.
extension ProjectID: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
