/// The limits of an event at ingest.
public struct EventLimits: Sendable, Equatable {
    /// Bytes per event, in JSON as sent.
    public var maximumEventBytes: Int
    /// Events per request.
    public var maximumBatchEvents: Int
    /// Maximum lead of a timestamp over the time of receipt.
    public var maximumFutureSkew: Duration

    /// Maximum nesting of containers, including the event itself. (BSON and its tools stop near 100.)
    public static let maximumDepth = 32

    public init(
        maximumEventBytes: Int = 256 * 1024, maximumBatchEvents: Int = 10_000, maximumFutureSkew: Duration = .seconds(3_600)
    ) {
        self.maximumEventBytes = maximumEventBytes
        self.maximumBatchEvents = maximumBatchEvents
        self.maximumFutureSkew = maximumFutureSkew
    }
}
