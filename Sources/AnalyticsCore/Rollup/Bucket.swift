/// The sizes of rollup buckets, the finer first. A bucket's index is the number of such spans since 1970, so it is the same for everyone.
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

    /// The tier whose buckets this one's are sums of; `nil` for minutes, which are counted from events.
    var finer: RollupTier? {
        switch self {
        case .minute: nil
        case .hour: .minute
        case .day: .hour
        }
    }

    /// Buckets of the finer tier in one of this.
    var parts: Int64 { milliseconds / (finer?.milliseconds ?? milliseconds) }

    /// What a bucket's first mark makes of its version: 1, and a number drawn at random for days.
    public var firstVersion: Int64 { self == .day ? Generation.first() : 1 }

    /// The buckets that an event can lie in. A store has no others, unless it is damaged; what does arithmetic with an index relies on that.
    public var indexes: ClosedRange<Int64> { Timestamp.earliest.index(of: milliseconds)...Timestamp.latest.index(of: milliseconds) }
}

extension RollupTier {
    /// The same, as what takes ranges takes them.
    public var allIndexes: Range<Int64> { Range(indexes) }
}

/// Names one bucket of one project; the tier is said beside it.
public struct BucketKey: Sendable, Hashable, Comparable {
    public var project: ProjectID
    /// Spans since 1970-01-01T00:00:00Z, negative before.
    public var index: Int64

    public init(project: ProjectID, index: Int64) {
        self.project = project
        self.index = index
    }

    /// By project, then by index, as both stores sort.
    public static func < (a: BucketKey, b: BucketKey) -> Bool { (a.project, a.index) < (b.project, b.index) }
}

/// The time that a bucket stands for, in any project.
struct BucketSpan: Sendable, Hashable {
    var tier: RollupTier
    var index: Int64

    /// Milliseconds.
    static let quarter = RollupTier.hour.milliseconds / 4

    /// The first moment of what one of a row's four counts stands for. Only hours have more than the first.
    func start(ofQuarter quarter: Int) -> Timestamp {
        Timestamp(milliseconds: Timestamp(index: index, of: tier.milliseconds).milliseconds &+ Int64(quarter) &* Self.quarter)
    }
}

/// Says that a bucket's count may have changed.
public struct BucketMark: Sendable, Equatable {
    public var key: BucketKey
    /// The count of the events that this mark stands for, where every one of them is known to be new: they are then the first version of
    /// a bucket that nobody has marked before.
    public var table: GroupTable?
    /// How many events the table counts. Of minutes.
    public var events: Int64?
    /// Of minutes: kept until the next count, whose entry in the journal names them.
    public var causes: BucketCauses
    /// Of minutes: the parts in which events may have changed; `nil` where that may be anywhere.
    public var parts: MinuteParts?

    public init(
        key: BucketKey, table: GroupTable? = nil, events: Int64? = nil, causes: BucketCauses = [], parts: MinuteParts? = nil
    ) {
        self.key = key
        self.table = table
        self.events = events
        self.causes = causes
        self.parts = parts
    }
}

/// A bucket's version, without its table.
public struct BucketVersion: Sendable, Equatable {
    public var key: BucketKey
    /// Raised by each mark.
    public var version: Int64
    /// The version whose count the bucket's table holds.
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

/// A bucket as it is stored: mark and rollup in one.
public struct Rollup: Sendable, Equatable {
    public var key: BucketKey
    public var version: Int64
    public var done: Int64
    public var dirty: Bool
    public var table: GroupTable

    public init(key: BucketKey, version: Int64, done: Int64, dirty: Bool, table: GroupTable) {
        self.key = key
        self.version = version
        self.done = done
        self.dirty = dirty
        self.table = table
    }
}

/// How many events of one type and source a bucket holds.
public struct RollupGroup: Sendable, Hashable {
    public var type: String
    public var source: String
    public var count: Int64
    /// Hours only: the count of each quarter of an hour. Every time zone's offset is a multiple of 15 minutes, so a day of any
    /// zone is a sum of these. Empty for minutes.
    public var quarters: [Int64]
    /// How many of the events are of bots: one number beside ``count``, or one for each of ``quarters``. Empty where none is.
    public var bots: [Int64]

    /// 2⁴⁰, a million million events in an hour: the groups of a table, and the minutes of an hour, then add up in 64 bits
    /// (4 × ``GroupTable/maximumRows`` × 2⁴⁰ = 2⁶¹).
    static let maximumCount: Int64 = 1 << 40

    public init(type: String, source: String, count: Int64, quarters: [Int64] = [], bots: [Int64] = []) {
        self.type = type
        self.source = source
        self.count = count
        self.quarters = quarters
        self.bots = bots
    }

    /// As a store gives it back; `nil` when no roller can have written it.
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

/// What a roller writes: the table counted for `version`.
public struct RolledBucket: Sendable, Equatable {
    public var key: BucketKey
    public var version: Int64
    public var table: GroupTable
    /// How many events the table counts, and when they were counted. Of minutes, which keep a journal.
    public var events: Int64?
    public var at: Timestamp?

    public init(key: BucketKey, version: Int64, table: GroupTable, events: Int64? = nil, at: Timestamp? = nil) {
        self.key = key
        self.version = version
        self.table = table
        self.events = events
        self.at = at
    }
}

public enum Generation {
    /// What a new day's generation begins with: drawn anew for each. The sum of all days of the years 0 to 9999
    /// stays in 63 bits.
    public static func first() -> Int64 { .random(in: 1...(1 << 40)) }
}

extension Timestamp {
    /// The index of the span of `milliseconds` length that holds this moment.
    public func index(of milliseconds: Int64) -> Int64 { floorDivide(self.milliseconds, by: milliseconds) }

    /// The first moment of a span, held to the range of 64 bits: an index may come from a damaged store.
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
