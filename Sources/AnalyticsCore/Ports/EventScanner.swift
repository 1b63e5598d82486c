public import AnalyticsJSON

/// Reads single events, for questions that rollups cannot answer.
public protocol EventScanner: Sendable {
    /// Passes the reducer the selected events in the ranges (which replace the selection's own), each once, in the order of (timestamp,
    /// id), oldest first, ids by bytes, until it wants no more. Returns the reducer.
    ///
    /// Uncommitted events may be missing. Memory is bounded by the size of some thousand events.
    func scanEvents<Reducer: EventScanReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath], into reducer: Reducer
    ) async throws(StoreError) -> Reducer
}

/// The parts of an event that a scan reads.
public struct ScannedEvent: Sendable, Equatable {
    public var timestamp: Timestamp
    public var id: String
    public var type: String
    public var source: String
    public var userId: String?
    public var anonymousId: String?
    public var visitorId: String?
    public var sessionId: String?
    /// Per path the scalars at it, including null, in the order of the event. Missing values and objects give none.
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

/// Consumes the events of a scan one by one, to bound memory.
public protocol EventScanReducer: Sendable {
    /// Returns false if no more are wanted.
    mutating func add(_ event: ScannedEvent) -> Bool
}
