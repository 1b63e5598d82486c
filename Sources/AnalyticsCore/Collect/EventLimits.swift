/// What the door lets in.
public struct EventLimits: Sendable, Equatable {
    /// Bytes of one event's JSON text as sent.
    public var maximumEventBytes: Int
    /// Events in one request.
    public var maximumBatchEvents: Int
    /// How far ahead of receipt a timestamp may lie.
    public var maximumFutureSkew: Duration
    /// How long before receipt a timestamp may lie; `nil` keeps everything. The store keeps events a margin longer
    /// (``retentionMargin``), so that no accepted event can expire before it is counted.
    public var retention: Duration?

    /// How many containers may be nested in an event, the event itself included (BSON and its tools stop near 100).
    public static let maximumDepth = 32

    /// What lies between the last moment at which an event is accepted and its expiry. Seven days: as long as the queue may be behind
    /// before an accepted event would expire uncounted; buckets are not counted again from one day before expiry on.
    public static let retentionMargin: Duration = .seconds(7 * 86_400)

    /// The first minute that may be counted from its events at this time; `nil` when every one may. Of those before, events may have
    /// expired already, and counting what is left would put too little in place of the truth.
    func oldestCountableMinute(at now: Timestamp) -> Int64? {
        retention.map { (now - ($0 + Self.retentionMargin - .seconds(86_400))).minute }
    }

    public init(
        maximumEventBytes: Int = 256 * 1024, maximumBatchEvents: Int = 10_000, maximumFutureSkew: Duration = .seconds(3_600),
        retention: Duration? = nil
    ) {
        self.maximumEventBytes = maximumEventBytes
        self.maximumBatchEvents = maximumBatchEvents
        self.maximumFutureSkew = maximumFutureSkew
        self.retention = retention
    }
}
