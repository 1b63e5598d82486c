/// The limits of an event at ingest.
public struct EventLimits: Sendable, Equatable {
    /// Bytes of one event's JSON text as sent.
    public var maximumEventBytes: Int
    /// Events in one request.
    public var maximumBatchEvents: Int
    /// How far ahead of receipt a timestamp may lie.
    public var maximumFutureSkew: Duration

    /// How many containers may be nested in an event, the event itself included (BSON and its tools stop near 100).
    public static let maximumDepth = 32

    public init(
        maximumEventBytes: Int = 256 * 1024, maximumBatchEvents: Int = 10_000, maximumFutureSkew: Duration = .seconds(3_600)
    ) {
        self.maximumEventBytes = maximumEventBytes
        self.maximumBatchEvents = maximumBatchEvents
        self.maximumFutureSkew = maximumFutureSkew
    }
}
