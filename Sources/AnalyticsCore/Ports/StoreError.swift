/// Why an operation of a store failed.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// Down, too slow or in a failover: retry later.
        case unavailable
        /// The store was reached, but the request exceeds its time limit: request less.
        case timedOut
        /// The store was reached and failed the operation as a whole: its configuration or the input may be the cause.
        case refused
        /// Misconfigured: cannot work.
        case misconfigured
    }

    public var code: Code
    /// A ``StoreOperation``'s name, or another operation.
    public var operation: String
    public var message: String
    /// The error of the driver or the system, if any.
    public var cause: (any Error)?

    public init(_ code: Code, operation: String, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.operation = operation
        self.message = message
        self.cause = cause
    }

    public var description: String { "store \(code.rawValue) in \(operation): \(message)" }
}
