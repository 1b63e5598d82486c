/// An answer that cannot be given exactly within what one may take.
public struct QueryTooLargeError: Error, Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        case tooManyGroups
        /// Users, keys or values of a question about events one by one.
        case tooManyKeys
        /// A minute of which no exact count by group was kept, and whose events are deleted.
        case uncounted(minute: Timestamp)
    }

    public var reason: Reason

    init(_ reason: Reason) {
        self.reason = reason
    }
}
