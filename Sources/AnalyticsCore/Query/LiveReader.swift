/// The events of one second, by their timestamps.
public struct LiveSecond: Sendable, Equatable {
    /// Seconds since 1970.
    public var second: Int64
    /// By type, bots included.
    public var counts: Counts
    /// Newest first.
    public var newest: [StoredEvent]

    public init(second: Int64, counts: Counts, newest: [StoredEvent]) {
        self.second = second
        self.counts = counts
        self.newest = newest
    }

    /// Number of types that are named: the most frequent. The others are counted together.
    public static let types = 50
    /// Maximum number of events in ``newest``.
    public static let events = 10
}

/// Reads what live views show. Each read serves all viewers.
public struct LiveReader: Sendable {
    private let engine: QueryEngine
    private let reader: EventReader
    private let pipeline: PipelineReader

    public init(engine: QueryEngine, reader: EventReader, pipeline: PipelineReader) {
        self.engine = engine
        self.reader = reader
        self.pipeline = pipeline
    }

    /// Depends on the stored events alone: a later call, or one in another process, returns the same plus what has been stored since.
    public func second(_ second: Int64, of project: ProjectID) async throws -> LiveSecond {
        let start = Timestamp(milliseconds: second * 1_000)
        let selection = Selection(project: project, from: start, to: start + .seconds(1))
        let counts = try await engine.counts(CountQuery(selection, grouping: .type, limit: LiveSecond.types)).counts
        guard counts.total > 0 else { return LiveSecond(second: second, counts: counts, newest: []) }
        return LiveSecond(
            second: second, counts: counts, newest: try await reader.page(selection, after: nil, limit: LiveSecond.events).events)
    }

    /// Distinct users from `start` to `end`, without bots.
    public func users(of project: ProjectID, from start: Timestamp, to end: Timestamp) async throws -> Int64 {
        let selection = Selection(project: project, includesBots: false, from: start, to: end)
        let (answer, _) = try await engine.timeseries(TimeseriesQuery(selection, metric: .users, starts: [start]))
        guard case .integer(let users) = answer.total else { return 0 }
        return users
    }

    /// When the oldest in-flight event arrived, of those that arrived at `first` or later; `nil` if there is none.
    public func waiting(of project: ProjectID, since first: Timestamp) async throws -> Timestamp? {
        try await pipeline.waiting(of: project, since: first.minute)
    }
}
