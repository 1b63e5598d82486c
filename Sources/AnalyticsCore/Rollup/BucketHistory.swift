/// Why a minute was marked, beside events that came in time.
public struct BucketCauses: OptionSet, Sendable, Hashable {
    public let rawValue: Int64

    /// Bits that this version does not know are dropped.
    public init(rawValue: Int64) {
        self.rawValue = rawValue & 0b11_1111
    }

    /// Events that were stored more than ``lateAfter`` after the end of their minute.
    public static let late = BucketCauses(rawValue: 1)
    /// An event with an id that was stored before.
    public static let duplicate = BucketCauses(rawValue: 2)
    /// A delivery that may have been stored before: a redelivery, a replay, one that was given up.
    public static let redelivery = BucketCauses(rawValue: 4)
    public static let erasure = BucketCauses(rawValue: 8)
    public static let retention = BucketCauses(rawValue: 16)
    /// `analytics rebuild-rollups`.
    public static let rebuild = BucketCauses(rawValue: 32)

    /// An API, a queue and a processor at work take seconds.
    public static let lateAfter: Duration = .seconds(600)

    /// For people, in this order.
    public var names: [String] {
        let all: [(BucketCauses, String)] = [
            (.late, "late events"), (.duplicate, "duplicates"), (.redelivery, "redelivery or replay"), (.erasure, "erasure"),
            (.retention, "retention"), (.rebuild, "rebuild"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}

/// One entry of a minute's journal: counts that replaced others.
public struct BucketChange: Sendable, Equatable {
    /// The version that was counted before; 0 where none was.
    public var from: Int64
    public var to: Int64
    /// Events now less events before; `nil` where the count before is not known.
    public var difference: Int64?
    public var causes: BucketCauses
    /// When the first of these counts was taken, and the last.
    public var at: Timestamp
    public var until: Timestamp

    public init(from: Int64, to: Int64, difference: Int64?, causes: BucketCauses, at: Timestamp, until: Timestamp) {
        self.from = from
        self.to = to
        self.difference = difference
        self.causes = causes
        self.at = at
        self.until = until
    }

    /// Whether a roller can have written it.
    var isPossible: Bool {
        from >= 0 && from < to && !causes.isEmpty && at.isValid && until.isValid && (difference.map { $0.magnitude <= 1 << 61 } ?? true)
    }
}

/// How a minute came to what it counts (docs/decisions/proof.md).
public struct BucketHistory: Sendable, Equatable {
    public var key: BucketKey
    public var version: Int64
    public var done: Int64
    /// Events that the count of `done` holds; `nil` where an earlier version wrote it.
    public var events: Int64?
    /// Of its first mark.
    public var created: BucketCauses
    /// Of the later marks, since `done`.
    public var causes: BucketCauses
    /// Newest first.
    public var changes: [BucketChange]

    /// Entries of a minute's journal.
    public static let limit = 8
    /// Counts with the same causes share an entry for so long.
    public static let mergedFor: Duration = .seconds(3600)

    public init(
        key: BucketKey, version: Int64, done: Int64, events: Int64? = nil, created: BucketCauses = [], causes: BucketCauses = [],
        changes: [BucketChange] = []
    ) {
        self.key = key
        self.version = version
        self.done = done
        // What no roller can have written is not known.
        self.events = events.flatMap { (0...1 << 61).contains($0) ? $0 : nil }
        self.created = created
        self.causes = causes
        self.changes = Array(changes.filter(\.isPossible).prefix(Self.limit))
    }

    /// Takes note of a count that is written over an older one. Events in time, which have no cause, leave no entry.
    public mutating func roll(_ bucket: RolledBucket) {
        if let at = bucket.at, !causes.isEmpty {
            let before = done == 0 ? 0 : events
            let difference = bucket.events.flatMap { now in before.map { now - $0 } }
            var change = BucketChange(from: done, to: bucket.version, difference: difference, causes: causes, at: at, until: at)
            if let last = changes.first, last.causes == causes, at >= last.at, at < last.at + Self.mergedFor {
                change.from = last.from
                change.at = last.at
                change.difference = difference.flatMap { now in last.difference.map { now &+ $0 } }
                changes[0] = change
            } else {
                changes = [change] + changes.prefix(Self.limit - 1)
            }
        }
        events = bucket.events
        done = bucket.version
        if version == bucket.version { causes = [] }
    }
}

// MARK: As stores keep it

extension BucketCauses {
    /// What the causes of the first mark are multiplied with, in the number that holds both.
    public static let createdFactor: Int64 = 256
}

extension BucketHistory {
    /// `created` and `causes` as one number, of which a mark sets bits.
    public var storedCauses: Int64 { created.rawValue * BucketCauses.createdFactor + causes.rawValue }

    public static func causes(stored number: Int64) -> (created: BucketCauses, causes: BucketCauses) {
        (BucketCauses(rawValue: number / BucketCauses.createdFactor), BucketCauses(rawValue: number % BucketCauses.createdFactor))
    }

    /// The journal, for a store that keeps bytes.
    public static func encoded(_ changes: [BucketChange]) -> [UInt8] {
        guard !changes.isEmpty else { return [] }
        var writer = TableWriter()
        for change in changes {
            writer.number(change.from)
            writer.number(change.to)
            writer.number(change.causes.rawValue)
            writer.word(UInt64(bitPattern: change.at.milliseconds))
            writer.word(UInt64(bitPattern: change.until.milliseconds))
            writer.number(change.difference == nil ? 0 : 1)
            writer.word(UInt64(bitPattern: change.difference ?? 0))
        }
        return writer.bytes
    }

    /// What ``encoded(_:)`` wrote. Entries that cannot be read are left out: nothing is counted from a journal.
    public static func changes(encoded bytes: [UInt8]) -> [BucketChange] {
        var changes: [BucketChange] = []
        try? bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            while !cursor.isAtEnd, changes.count < limit { changes.append(try cursor.change()) }
        }
        return changes.filter(\.isPossible)
    }
}

extension TableCursor {
    fileprivate mutating func change() throws(GroupTable.Unreadable) -> BucketChange {
        let (from, to, causes) = (try number(), try number(), BucketCauses(rawValue: try number()))
        let (at, until) = (Int64(bitPattern: try word()), Int64(bitPattern: try word()))
        let (isKnown, difference) = (try number() == 1, Int64(bitPattern: try word()))
        return BucketChange(
            from: from, to: to, difference: isKnown ? difference : nil, causes: causes, at: Timestamp(milliseconds: at),
            until: Timestamp(milliseconds: until))
    }
}
