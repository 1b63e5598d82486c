/// The sizes of rollup buckets, finest first. A bucket's index is the number of spans of this size since 1970, the same in every process.
public enum RollupTier: String, Sendable, CaseIterable {
    case minute
    case hour
    /// A UTC day. The version of a day is its generation.
    case day

    public var milliseconds: Int64 {
        switch self {
        case .minute: 60_000
        case .hour: 3_600_000
        case .day: 86_400_000
        }
    }

    /// The tier whose buckets are summed for this tier; `nil` for minutes, which are counted from events.
    var finer: RollupTier? {
        switch self {
        case .minute: nil
        case .hour: .minute
        case .day: .hour
        }
    }

    /// Buckets of the finer tier per bucket of this tier.
    var parts: Int64 { milliseconds / (finer?.milliseconds ?? milliseconds) }

    /// The version after a bucket's first mark: 1, or a random number for days.
    public var firstVersion: Int64 { self == .day ? Generation.first() : 1 }

    /// The indexes of buckets that an event can lie in. An undamaged store has no others; arithmetic with indexes relies on that.
    public var indexes: ClosedRange<Int64> { Timestamp.earliest.index(of: milliseconds)...Timestamp.latest.index(of: milliseconds) }
}

extension RollupTier {
    public var allIndexes: Range<Int64> { Range(indexes) }
}

/// Identifies a bucket of a project. The tier is given separately.
public struct BucketKey: Sendable, Hashable, Comparable {
    public var project: ProjectID
    /// Spans since 1970-01-01T00:00:00Z; negative before.
    public var index: Int64

    public init(project: ProjectID, index: Int64) {
        self.project = project
        self.index = index
    }

    /// By project, then by index, as in both stores.
    public static func < (a: BucketKey, b: BucketKey) -> Bool { (a.project, a.index) < (b.project, b.index) }
}

/// The time span of a bucket, in any project.
struct BucketSpan: Sendable, Hashable {
    var tier: RollupTier
    var index: Int64

    /// Milliseconds.
    static let quarter = RollupTier.hour.milliseconds / 4

    /// The first moment of the span of one of a row's four counts. Only hours use more than the first.
    func start(ofQuarter quarter: Int) -> Timestamp {
        Timestamp(milliseconds: Timestamp(index: index, of: tier.milliseconds).milliseconds &+ Int64(quarter) &* Self.quarter)
    }
}

/// Records that a bucket's count may have changed.
public struct BucketMark: Sendable, Equatable {
    public var key: BucketKey
    /// The count of the events of this mark, if every one of them is known to be new. It becomes the first version of a bucket that
    /// was never marked before.
    public var table: GroupTable?
    /// The events of the table by the day of their receipt.
    public var received: ReceivedTable?
    /// The number of events in the table. Minutes only.
    public var events: Int64?
    /// Minutes only. Kept until the next count, which writes them to the journal.
    public var causes: BucketCauses
    /// Minutes only: the parts in which events may have changed; `nil` for anywhere.
    public var parts: MinuteParts?

    public init(
        key: BucketKey, table: GroupTable? = nil, received: ReceivedTable? = nil, events: Int64? = nil, causes: BucketCauses = [],
        parts: MinuteParts? = nil
    ) {
        self.key = key
        self.table = table
        self.received = received
        self.events = events
        self.causes = causes
        self.parts = parts
    }
}

/// Marks of buckets of one tier.
public struct TierMarks: Sendable, Equatable {
    public var tier: RollupTier
    public var marks: [BucketMark]

    public init(_ tier: RollupTier, _ marks: [BucketMark]) {
        self.tier = tier
        self.marks = marks
    }
}

/// A bucket's version, without its table.
public struct BucketVersion: Sendable, Equatable {
    public var key: BucketKey
    /// Raised by each mark.
    public var version: Int64
    /// The version that the bucket's table was counted for.
    public var done: Int64

    public init(key: BucketKey, version: Int64, done: Int64) {
        self.key = key
        self.version = version
        self.done = done
    }
}

extension BucketVersion {
    init(_ rollup: Rollup) {
        self.init(key: rollup.key, version: rollup.version, done: rollup.done)
    }
}

/// A stored bucket: its mark and its rollup.
public struct Rollup: Sendable, Equatable {
    public var key: BucketKey
    public var version: Int64
    public var done: Int64
    public var dirty: Bool
    public var table: GroupTable
    /// The same events by the day of their receipt. `nil` if that was not read, if a table cannot hold it, if the bucket is not
    /// counted yet, or if an earlier version of the service counted it (``ReceivedFill``).
    public var received: ReceivedTable?

    public init(key: BucketKey, version: Int64, done: Int64, dirty: Bool, table: GroupTable, received: ReceivedTable? = nil) {
        self.key = key
        self.version = version
        self.done = done
        self.dirty = dirty
        self.table = table
        self.received = received
    }

    /// Approximate bytes of the tables.
    public var size: Int { table.size + (received?.bytes.count ?? 0) }
}

/// Which tables a read of buckets returns.
public enum BucketContent: Sendable {
    /// ``Rollup/received`` is `nil`.
    case groups
    /// ``Rollup/table`` is ``GroupTable/overflow``.
    case received
    case all
}

/// The number of events of one type and source in a bucket.
public struct RollupGroup: Sendable, Hashable {
    public var type: String
    public var source: String
    public var count: Int64
    /// Hours only: the count of each quarter of an hour. Every time zone's offset is a multiple of 15 minutes, so a day in any zone
    /// is a sum of quarters. Empty for minutes.
    public var quarters: [Int64]
    /// The number of these events that bots sent: one number for ``count``, or one for each of ``quarters``. Empty if there are none.
    public var bots: [Int64]

    /// 2⁴⁰, about 10¹² events per hour: the sums of a table's groups, and of an hour's minutes, then fit in 64 bits (4 ×
    /// ``GroupTable/maximumRows`` × 2⁴⁰ = 2⁶¹).
    static let maximumCount: Int64 = 1 << 40

    public init(type: String, source: String, count: Int64, quarters: [Int64] = [], bots: [Int64] = []) {
        self.type = type
        self.source = source
        self.count = count
        self.quarters = quarters
        self.bots = bots
    }

    /// A group read from a store; `nil` if no roller can have written it.
    ///
    /// A count is at most ``maximumCount``.
    public init?(storedType type: String, source: String, count: Int64, quarters: [Int64]) {
        let possible = 0...Self.maximumCount
        guard possible.contains(count), quarters.isEmpty || quarters.count == 4, quarters.allSatisfy(possible.contains),
            quarters.isEmpty || quarters.reduce(0, +) == count
        else { return nil }
        self.init(type: type, source: source, count: count, quarters: quarters)
    }
}

/// A roller's write: the table counted for `version`.
public struct RolledBucket: Sendable, Equatable {
    public var key: BucketKey
    public var version: Int64
    public var table: GroupTable
    /// The same events by the day of their receipt; `nil` if a table cannot hold it.
    public var received: ReceivedTable?
    /// The number of events in the table, and when they were counted. Minutes only: they keep a journal.
    public var events: Int64?
    public var at: Timestamp?

    public init(
        key: BucketKey, version: Int64, table: GroupTable, received: ReceivedTable? = nil, events: Int64? = nil, at: Timestamp? = nil
    ) {
        self.key = key
        self.version = version
        self.table = table
        self.received = received
        self.events = events
        self.at = at
    }

    /// Approximate bytes of the tables.
    public var size: Int { table.size + (received?.bytes.count ?? 0) }
}

public enum Generation {
    /// The first generation of a new day: a random number. The sum over all days of the years 0 to 9999 fits in 63 bits.
    public static func first() -> Int64 { .random(in: 1...(1 << 40)) }
}

extension Timestamp {
    /// The index of the span of `milliseconds` that contains this moment.
    public func index(of milliseconds: Int64) -> Int64 { floorDivide(self.milliseconds, by: milliseconds) }

    /// The first moment of a span, clamped to 64 bits: the index may come from a damaged store.
    public init(index: Int64, of milliseconds: Int64) {
        let (product, overflow) = index.multipliedReportingOverflow(by: milliseconds)
        self.init(milliseconds: overflow ? (index < 0 ? .min : .max) : product)
    }

    /// The first moment of a minute.
    public init(minute: Int64) { self.init(index: minute, of: RollupTier.minute.milliseconds) }

    /// The first moment of an hour.
    init(hour: Int64) { self.init(index: hour, of: RollupTier.hour.milliseconds) }

    /// The first moment of a UTC day.
    init(day: Int64) { self.init(index: day, of: RollupTier.day.milliseconds) }

    public var minute: Int64 { index(of: RollupTier.minute.milliseconds) }
    public var hour: Int64 { index(of: RollupTier.hour.milliseconds) }
    public var day: Int64 { index(of: RollupTier.day.milliseconds) }
}
