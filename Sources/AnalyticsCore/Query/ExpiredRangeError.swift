/// A question needs events that may be deleted.
public struct ExpiredRangeError: Error, Sendable {
    public enum Reason: Sendable {
        /// The range begins or ends inside of a minute below the watermark: what lies on either side is not known any more.
        case cutMinute
        /// The range begins below the watermark, and rollups do not tell what is selected.
        case untoldSelection
        /// The question reads what lies before its range, and that begins below the watermark.
        case untoldBefore
    }

    public var reason: Reason
    /// The first moment whose events are all there.
    public var watermark: Timestamp
}
