internal import AnalyticsCore

/// What is wrong with a target, a query or a tag expression; said behind the parameter's name.
struct GraphiteFault: Error, Equatable {
    var message: String

    init(_ message: String) {
        self.message = message
    }
}
