internal import AnalyticsCore

/// An error in a target, a query or a tag expression. The message follows the parameter's name.
struct GraphiteFault: Error, Equatable {
    var message: String

    init(_ message: String) {
        self.message = message
    }
}
