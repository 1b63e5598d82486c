/// Why a minute was marked, other than for events that arrived in time.
public struct BucketCauses: OptionSet, Sendable, Hashable {
    public let rawValue: Int64

    /// Unknown bits are dropped.
    public init(rawValue: Int64) {
        self.rawValue = rawValue & 0b11_1111
    }

    /// Events stored more than ``lateAfter`` after the end of their minute.
    public static let late = BucketCauses(rawValue: 1)
    /// An event whose id was stored before.
    public static let duplicate = BucketCauses(rawValue: 2)
    /// A delivery that may have been stored before: a redelivery, a replay, or a dead-lettered delivery.
    public static let redelivery = BucketCauses(rawValue: 4)
    public static let erasure = BucketCauses(rawValue: 8)
    public static let retention = BucketCauses(rawValue: 16)
    /// `analytics rebuild-rollups`.
    public static let rebuild = BucketCauses(rawValue: 32)

    /// Normal operation takes seconds through API, queue and processor.
    public static let lateAfter: Duration = .seconds(600)

    /// Names for readers, in this order.
    public var names: [String] {
        let all: [(BucketCauses, String)] = [
            (.late, "late events"), (.duplicate, "duplicates"), (.redelivery, "redelivery or replay"), (.erasure, "erasure"),
            (.retention, "retention"), (.rebuild, "rebuild"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}

/// An entry of a minute's journal: a count that replaced another.
public struct BucketChange: Sendable, Equatable {
    /// The version of the previous count; 0 if there was none.
    public var from: Int64
    public var to: Int64
    /// The new number of events minus the previous one; `nil` if that is unknown.
    public var difference: Int64?
    public var causes: BucketCauses
    /// The times of the first and the last count in this entry.
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

/// The history of a minute's count (docs/decisions/proof.md).
public struct BucketHistory: Sendable, Equatable {
    public var key: BucketKey
    public var version: Int64
    public var done: Int64
    /// The number of events in the count of `done`; `nil` if an earlier version of the service wrote it.
    public var events: Int64?
    /// The causes of the first mark.
    public var created: BucketCauses
    /// The causes of the later marks, since `done`.
    public var causes: BucketCauses
    /// Newest first.
    public var changes: [BucketChange]

    /// Maximum number of entries in a minute's journal.
    public static let limit = 8
    /// Counts with the same causes share an entry for this long.
    public static let mergedFor: Duration = .seconds(3600)

    public init(
        key: BucketKey, version: Int64, done: Int64, events: Int64? = nil, created: BucketCauses = [], causes: BucketCauses = [],
        changes: [BucketChange] = []
    ) {
        self.key = key
        self.version = version
        self.done = done
        // A number that no roller can have written is treated as unknown.
        self.events = events.flatMap { (0...1 << 61).contains($0) ? $0 : nil }
        self.created = created
        self.causes = causes
        self.changes = Array(changes.filter(\.isPossible).prefix(Self.limit))
    }

    /// Records a count that replaces an older one. Events that arrive in time have no cause and leave no entry.
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

// MARK: Stored form

extension BucketCauses {
    /// The factor of the first mark's causes in the number that holds both.
    public static let createdFactor: Int64 = 256
}

extension BucketHistory {
    /// `created` and `causes` as one number. A mark sets bits in it.
    public var storedCauses: Int64 { created.rawValue * BucketCauses.createdFactor + causes.rawValue }

    public static func causes(stored number: Int64) -> (created: BucketCauses, causes: BucketCauses) {
        (BucketCauses(rawValue: number / BucketCauses.createdFactor), BucketCauses(rawValue: number % BucketCauses.createdFactor))
    }

    /// The journal as bytes, for stores that keep bytes.
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

    /// Reads the bytes of ``encoded(_:)``. Entries that cannot be read are skipped: no count depends on a journal.
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
