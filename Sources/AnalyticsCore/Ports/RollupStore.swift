/// Stores marks and counts of buckets, and counts events.
public protocol RollupStore: Sendable {
    /// Marks buckets: for each `v += 1, dirty = true`, and adds its causes. A missing bucket is created: marked, or with the mark's table,
    /// if it has one, as the count of its first version. Returns when it is durable.
    ///
    /// A mark of an existing minute may also record in which of its parts events may have changed (``MinuteStamp/mark(_:)``).
    ///
    /// A bucket's first version is ``RollupTier/firstVersion``. For days it is random: counts are cached by generation, and a cache may
    /// outlive the store. An emptied or replaced store therefore does not repeat earlier generations.
    func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError)

    /// Marks buckets of several tiers in this order: the marks of a tier are durable before those of the next can be seen. A store may
    /// write them together.
    func mark(_ tiers: [TierMarks]) async throws(StoreError)

    /// The sum of the versions of `days` (UTC days since 1970). It changes whenever one of them does.
    func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64

    /// The versions of a project's buckets in these ranges of indexes, by index.
    func versions(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Int64: Int64]

    /// Marked buckets of all projects after `key`, in key order; at most `limit`. Only buckets that can contain an event
    /// (``RollupTier/indexes``).
    func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion]

    /// A project's buckets in these ranges of indexes, including marked ones, in index order. A page ends with the bucket whose tables
    /// reach `byteLimit` bytes in total.
    func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int, content: BucketContent
    ) async throws(StoreError) -> RollupPage

    /// Counts the selected events in the ranges (which replace the selection's own) from the stored events, by minute, type and source.
    /// Passes the rows to the reducer until it wants no more. Returns it after ``CountReducer/finish()``.
    func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer

    /// For each bucket with `done < version`: sets the tables, `done = version` and `dirty = (v ≠ version)`, atomically per bucket; for
    /// minutes also the history, as ``BucketHistory/roll(_:)`` does. Returns how many were applied. Others have a newer count; that is not
    /// an error.
    func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int

    /// Sets the table of receipt of buckets that have none for their `done`, and whose `done` is still the same. Nothing else of them
    /// changes. A store keeps with each table the `done` that it was counted for, and gives no table of another one.
    func fillReceived(_ tier: RollupTier, _ buckets: [Rollup]) async throws(StoreError)

    /// Clears the marks of buckets that still have these versions; tables and `done` do not change. For minutes whose events may be
    /// deleted.
    func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError)

    /// Where in the minute events have changed, according to its marks; `nil` if there was none.
    func minuteStamp(_ minute: BucketKey) async throws(StoreError) -> MinuteStamp?

    /// The histories of the minutes' counts, in index order; missing ones are left out. For ranges of at most a few days.
    func histories(project: ProjectID, minutes: [Range<Int64>]) async throws(StoreError) -> [BucketHistory]

    /// From the earliest to the latest time of the buckets and stored events; `nil` if there are none. Clamped to valid event times. For
    /// commands that read everything.
    func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>?

    /// All projects that have events or buckets.
    func projects() async throws(StoreError) -> [ProjectID]
}

extension RollupStore {
    public func mark(_ tiers: [TierMarks]) async throws(StoreError) {
        for tier in tiers { try await mark(tier.tier, tier.marks) }
    }

    /// Buckets with their groups.
    public func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int
    ) async throws(StoreError) -> RollupPage {
        try await rollups(tier, project: project, in: ranges, byteLimit: byteLimit, content: .groups)
    }

    /// Marks buckets without further detail.
    public func mark(_ tier: RollupTier, _ buckets: [BucketKey]) async throws(StoreError) {
        try await mark(tier, buckets.map { BucketMark(key: $0) })
    }
}

/// Buckets in index order, and the start of the next page.
public struct RollupPage: Sendable, Equatable {
    public var rollups: [Rollup]
    /// The index after the last bucket if there may be more; otherwise `nil`.
    public var next: Int64?

    public init(rollups: [Rollup], next: Int64? = nil) {
        self.rollups = rollups
        self.next = next
    }

    /// Bytes of tables per read.
    public static let byteLimit = 4 << 20
}

extension RollupStore {
    /// Reads buckets page by page.
    func eachRollupPage(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int = RollupPage.byteLimit,
        content: BucketContent = .groups, _ body: ([Rollup]) async throws -> Void
    ) async throws {
        var rest = ranges
        while !rest.isEmpty {
            let page = try await rollups(tier, project: project, in: rest, byteLimit: byteLimit, content: content)
            try await body(page.rollups)
            guard let next = page.next else { return }
            rest = rest.from(next)
        }
    }
}

/// Number of events of one type and source in a minute, or in the requested part of it.
public struct EventCount: Sendable, Equatable {
    /// Minutes since 1970.
    public var minute: Int64
    public var type: String
    public var source: String
    public var count: Int64
    /// The number of these from bots.
    public var bots: Int64
    /// The UTC day of their receipt; `nil` if the reducer does not ask for it, or if it cannot be read.
    public var received: Int64?

    public init(minute: Int64, type: String, source: String, count: Int64, bots: Int64 = 0, received: Int64? = nil) {
        self.minute = minute
        self.type = type
        self.source = source
        self.count = count
        self.bots = bots
        self.received = received
    }
}

/// Consumes the rows of a count one by one, to bound memory.
public protocol CountReducer: Sendable {
    /// Whether events of one minute, type and source are a row per UTC day of receipt.
    var isByReceipt: Bool { get }

    /// Rows are in byte order of minute, type and source, each once. Returns false if no more are wanted.
    mutating func add(_ row: EventCount) -> Bool

    /// Called after the last row.
    mutating func finish()
}

extension CountReducer {
    public var isByReceipt: Bool { false }
}
