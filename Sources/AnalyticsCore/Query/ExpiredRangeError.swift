/// A question needs events that may have been deleted.
public struct ExpiredRangeError: Error, Sendable {
    public enum Reason: Sendable {
        /// The range begins or ends within a minute below the watermark. How the minute's events divide at that moment is no longer known.
        case cutMinute
        /// The range begins below the watermark, and rollups cannot answer the selection.
        case untoldSelection
        /// The question reads events before its range, and these begin below the watermark.
        case untoldBefore
    }

    public var reason: Reason
    /// The first moment whose events are all stored.
    public var watermark: Timestamp
}
