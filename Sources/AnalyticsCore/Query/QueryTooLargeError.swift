/// An answer that cannot be given exactly within what one may take.
public struct QueryTooLargeError: Error, Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        case tooManyGroups
        /// Keys or values of a question about users or properties.
        case tooManyKeys
        /// Events that no segment holds, of a question about users.
        case tooManyEvents
        /// A minute of which no exact count by group was kept, and whose events are deleted.
        case uncounted(minute: Timestamp)
    }

    public var reason: Reason

    init(_ reason: Reason) {
        self.reason = reason
    }
}
