public import AnalyticsJSON

/// Reads events one by one, for questions that rollups do not tell.
public protocol EventScanner: Sendable {
    /// Gives the reducer the selected events that lie in the ranges (which stand for the selection's own), oldest first by (timestamp, id),
    /// ids by their bytes, each once, until it takes no more. Returns it.
    ///
    /// What is not committed yet may be missing. Memory is bounded by the size of some thousand events.
    func scanEvents<Reducer: EventScanReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath], into reducer: Reducer
    ) async throws(StoreError) -> Reducer
}

/// What a scan reads of an event.
public struct ScannedEvent: Sendable, Equatable {
    public var timestamp: Timestamp
    public var id: String
    public var type: String
    public var source: String
    public var userId: String?
    public var anonymousId: String?
    public var visitorId: String?
    public var sessionId: String?
    /// For each path the scalars that it leads to, null included, in the order in which they stand in the event. What is not there, and an
    /// object, gives none.
    public var values: [[JSONScalar]]

    public init(
        timestamp: Timestamp, id: String, type: String, source: String, userId: String? = nil, anonymousId: String? = nil,
        visitorId: String? = nil, sessionId: String? = nil, values: [[JSONScalar]] = []
    ) {
        self.timestamp = timestamp
        self.id = id
        self.type = type
        self.source = source
        self.userId = userId
        self.anonymousId = anonymousId
        self.visitorId = visitorId
        self.sessionId = sessionId
        self.values = values
    }
}

/// Takes what a scan reads, so that not all of it is in memory at a time.
public protocol EventScanReducer: Sendable {
    /// False when no more are wanted.
    mutating func add(_ event: ScannedEvent) -> Bool
}
