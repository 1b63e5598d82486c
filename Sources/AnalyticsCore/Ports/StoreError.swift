/// Why an operation of a store failed.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// Down, too slow or between two primaries: try again later.
        case unavailable
        /// The store was reached, and what was asked takes longer than it may: ask for less.
        case timedOut
        /// The store was reached and failed the operation as a whole: its set-up or the input may be the cause.
        case refused
        /// Set up in a way that cannot work.
        case misconfigured
    }

    public var code: Code
    /// A ``StoreOperation``'s name, or what else was done.
    public var operation: String
    public var message: String
    /// What the driver or the system said, where there is such an error.
    public var cause: (any Error)?

    public init(_ code: Code, operation: String, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.operation = operation
        self.message = message
        self.cause = cause
    }

    public var description: String { "store \(code.rawValue) in \(operation): \(message)" }
}
