/// Keeps marks and counts of buckets, and counts events.
public protocol RollupStore: Sendable {
    /// Marks buckets: for each `v += 1, dirty = true`, and its causes beside those that are there. One that is missing is created: marked, or, where the mark brings a table, with
    /// this as the count of its first version. Returns when that is durable.
    ///
    /// A mark of a minute that is there says, too, in which of its parts events may have changed (``MinuteStamp/mark(_:)``), where it tells that.
    ///
    /// A bucket's first version is ``RollupTier/firstVersion``. That of a day is drawn at random, so that a store that was emptied, or another
    /// one, does not come to the generations that were there before: counts are cached under them, in a cache that may outlive the store.
    func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError)

    /// The sum of the versions of `days` (indexes of UTC days since 1970): it changes whenever one of them does.
    func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64

    /// The version of each bucket of a project in these ranges of indexes, by its index.
    func versions(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Int64: Int64]

    /// Marked buckets of all projects in the order of their keys, those after `key`; at most `limit`. Only those that an event can lie in
    /// (``RollupTier/indexes``).
    func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion]

    /// The buckets of a project in these ranges of indexes, marked ones included, in the order of their indexes: as many as hold
    /// `byteLimit` bytes of tables together, but one at the least.
    func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int
    ) async throws(StoreError) -> RollupPage

    /// Counts the selected events that lie in the ranges (which stand for the selection's own) from the events themselves, by minute, type
    /// and source, and gives the rows to the reducer until it takes no more. Returns it with ``CountReducer/finish()`` called.
    func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer

    /// For each: where `done < version`, sets the table, `done = version` and `dirty = (v ≠ version)`, as one atomic step a bucket; of
    /// minutes the history too, as ``BucketHistory/roll(_:)`` does.
    /// Returns how many applied. One that does not apply is no error: a newer count is there already.
    func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int

    /// Clears the marks of buckets that are still at these versions; their tables and `done` stay as they are. For minutes whose events may
    /// be deleted.
    func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError)

    /// What the marks of a minute say about where its events have changed; `nil` where there was none.
    func minuteStamp(_ minute: BucketKey) async throws(StoreError) -> MinuteStamp?

    /// How minutes came to what they count, in the order of their indexes; those alone that are there. Ranges of a few days at the most.
    func histories(project: ProjectID, minutes: [Range<Int64>]) async throws(StoreError) -> [BucketHistory]

    /// The smallest and the largest index of a tier's buckets or, for minutes, of the stored events too; `nil` when there are none.
    /// Held to the times that an event can have. For commands that walk everything.
    func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>?

    /// All projects that have events or buckets.
    func projects() async throws(StoreError) -> [ProjectID]
}

extension RollupStore {
    /// Marks buckets of which nothing more is known.
    public func mark(_ tier: RollupTier, _ buckets: [BucketKey]) async throws(StoreError) {
        try await mark(tier, buckets.map { BucketMark(key: $0) })
    }
}

/// Buckets in the order of their indexes, and where to go on.
public struct RollupPage: Sendable, Equatable {
    public var rollups: [Rollup]
    /// The index behind the last bucket, where there may be more; `nil` when these are all.
    public var next: Int64?

    public init(rollups: [Rollup], next: Int64? = nil) {
        self.rollups = rollups
        self.next = next
    }

    /// Bytes of tables that are read at a time.
    public static let byteLimit = 4 << 20
}

extension RollupStore {
    /// Reads buckets page by page.
    func eachRollupPage(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int = RollupPage.byteLimit,
        _ body: ([Rollup]) async throws -> Void
    ) async throws {
        var rest = ranges
        while !rest.isEmpty {
            let page = try await rollups(tier, project: project, in: rest, byteLimit: byteLimit)
            try await body(page.rollups)
            guard let next = page.next else { return }
            rest = rest.from(next)
        }
    }
}

/// How many events of one type and source lie in a minute, or in the part of it that was asked for.
public struct EventCount: Sendable, Equatable {
    /// Minutes since 1970.
    public var minute: Int64
    public var type: String
    public var source: String
    public var count: Int64
    /// How many of these are of bots.
    public var bots: Int64

    public init(minute: Int64, type: String, source: String, count: Int64, bots: Int64 = 0) {
        self.minute = minute
        self.type = type
        self.source = source
        self.count = count
        self.bots = bots
    }
}

/// Takes what a store counts, so that not all of it is in memory at a time.
public protocol CountReducer: Sendable {
    /// Rows come by minute, type and source, in the order of their bytes, each once. False when no more are wanted.
    mutating func add(_ row: EventCount) -> Bool

    /// After the last row.
    mutating func finish()
}
