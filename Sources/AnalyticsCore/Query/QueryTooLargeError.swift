/// An exact answer would exceed the limits of one answer.
public struct QueryTooLargeError: Error, Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        case tooManyGroups
        /// Keys or values in a question about users or properties.
        case tooManyKeys
        /// Events that no segment holds, in a question about users.
        case tooManyEvents
        /// No exact count by group was kept for this minute, and its events are deleted.
        case uncounted(minute: Timestamp)
    }

    public var reason: Reason

    init(_ reason: Reason) {
        self.reason = reason
    }
}
