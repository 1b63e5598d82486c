internal import Algorithms

/// Reduces rows of events, which ``RowReader`` reads.
///
/// The answer does not depend on the order of the rows, or on how they are divided. If ``isByActor`` holds, the rows of an actor come
/// together. Within a source, rows are in order of time; a day may have several sources.
protocol RowReducer: AnswerReducer {
    /// The contents of the columns, in order.
    var fields: [RowField] { get }

    /// Whether the rows of an actor come together, and identities matter.
    var isByActor: Bool { get }

    /// Whether the times within the range matter.
    var needsTimes: Bool { get }

    /// Whether rows have the names of their actors.
    var needsNames: Bool { get }

    /// Called once, before everything else, with the identities.
    mutating func know(_ identities: IdentityMap)

    /// Sets the rows of a slot. The following calls refer to them by the slot, until it is loaded again.
    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable)

    /// The rows that follow belong to another actor, or to events without one. Only called if ``isByActor`` holds.
    mutating func begin(isUser: Bool)

    mutating func add(slot: Int, _ rows: Range<Int>)

    /// Called after the last row of an actor.
    mutating func end()
}

extension RowReducer {
    var needsNames: Bool { false }

    mutating func know(_ identities: IdentityMap) {}
}

/// A question answered from rows.
protocol RowQuestion: Question where Reducer: RowReducer {
    /// The times to read for an answer over a range.
    func reading(over range: Range<Timestamp>) -> Reading

    /// The actors whose events are read; `nil` for all.
    func actors(_ identities: IdentityMap) -> Set<ActorKey>?
}

extension RowQuestion {
    func reading(over range: Range<Timestamp>) -> Reading { Reading(from: range.lowerBound, to: range.upperBound) }

    func actors(_ identities: IdentityMap) -> Set<ActorKey>? { nil }
}

/// The times of the events that an answer depends on. May exceed the question's range; `nil` means as far as events are stored.
struct Reading: Sendable {
    var from: Timestamp?
    var to: Timestamp?
}

/// Maps the moments of a day to buckets.
struct DayBuckets: Sendable {
    private enum Storage {
        /// The whole day is in one bucket.
        case one(Int32)
        case minutes([Int32])
        /// The start of the day, and buckets that begin within minutes.
        case search(Int64, [Timestamp])
    }

    private let storage: Storage

    private static let minute = UInt32(RollupTier.minute.milliseconds)

    /// - Parameter starts: The starts of the buckets, in ascending order. Moments before the first are in the first bucket.
    init(day: Int64, starts: [Timestamp]) {
        let begin = day * RollupTier.day.milliseconds
        func bucket(_ time: Int64) -> Int { max(0, starts.partitioningIndex { $0.milliseconds > time } - 1) }
        let (first, last) = (bucket(begin), bucket(begin + RollupTier.day.milliseconds - 1))
        if first == last {
            storage = .one(Int32(first))
        } else if starts[first...last].dropFirst().allSatisfy({ $0.milliseconds.isMultiple(of: RollupTier.minute.milliseconds) }) {
            storage = .minutes(
                (0..<SegmentHead.minutesInDay).map { Int32(bucket(begin + Int64($0) * RollupTier.minute.milliseconds)) })
        } else {
            storage = .search(begin, starts)
        }
    }

    /// The bucket, if the whole day is in one.
    var only: Int? { if case .one(let bucket) = storage { Int(bucket) } else { nil } }

    /// `time`: milliseconds since the start of the day.
    subscript(time: UInt32) -> Int {
        switch storage {
        case .one(let bucket): Int(bucket)
        case .minutes(let minutes): Int(minutes[Int(time / Self.minute)])
        case .search(let begin, let starts): max(0, starts.partitioningIndex { $0.milliseconds > begin + Int64(time) } - 1)
        }
    }
}

/// Rows with their buckets.
final class BucketRows: Sendable {
    private let begin: Int64
    private let times: [UInt32]
    /// Per row; empty if all are in ``only``.
    private let buckets: [Int32]
    private let only: Int

    init(_ rows: EventRows, _ buckets: DayBuckets) {
        begin = rows.day * RollupTier.day.milliseconds
        times = rows.times
        only = buckets.only ?? 0
        self.buckets = buckets.only == nil ? rows.times.map { Int32(buckets[$0]) } : []
    }

    /// Milliseconds since 1970.
    func time(of row: Int) -> Int64 { begin + Int64(times[row]) }

    func bucket(of row: Int) -> Int { buckets.isEmpty ? only : Int(buckets[row]) }

    /// Calls `body` with the bucket of each row; once if all rows share one bucket.
    @inline(__always)
    func each(_ rows: Range<Int>, _ body: (Int) -> Void) {
        guard !buckets.isEmpty else { return body(only) }
        for row in rows { body(Int(buckets[row])) }
    }
}
