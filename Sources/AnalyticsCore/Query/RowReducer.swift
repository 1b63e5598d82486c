internal import Algorithms

/// Reduces events as rows: ``RowReader`` feeds it.
///
/// The same rows give the same answer, in whatever order and pieces they come, except that those of one actor come together where
/// ``isByActor`` says so. They come in the order of time within a source, and a day may have several.
protocol RowReducer: AnswerReducer {
    /// What the columns of its rows hold, in their order.
    var fields: [RowField] { get }

    /// Whether the rows of an actor come together, and users matter at all.
    var isByActor: Bool { get }

    /// Whether times matter beyond the range.
    var needsTimes: Bool { get }

    /// Whether rows come with the names of their actors.
    var needsNames: Bool { get }

    /// Called once, before anything else, with who is who.
    mutating func know(_ identities: IdentityMap)

    /// Rows that the following calls name by their slot, until others are put there.
    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable)

    /// What is added from now on is of another actor, or of events without one. Only where ``isByActor`` holds.
    mutating func begin(isUser: Bool)

    mutating func add(slot: Int, _ rows: Range<Int>)

    /// After the last row of an actor.
    mutating func end()
}

extension RowReducer {
    var needsNames: Bool { false }

    mutating func know(_ identities: IdentityMap) {}
}

/// A question that is answered from rows.
protocol RowQuestion: Question where Reducer: RowReducer {
    /// What is read to answer over a range.
    func reading(over range: Range<Timestamp>) -> Reading

    /// The actors whose events are read; `nil` for all.
    func actors(_ identities: IdentityMap) -> Set<ActorKey>?
}

extension RowQuestion {
    func reading(over range: Range<Timestamp>) -> Reading { Reading(from: range.lowerBound, to: range.upperBound) }

    func actors(_ identities: IdentityMap) -> Set<ActorKey>? { nil }
}

/// The events that an answer depends on, by their times. It may be more than the question's range; `nil` is as far as events are stored.
struct Reading: Sendable {
    var from: Timestamp?
    var to: Timestamp?
}

/// The buckets in which the moments of a day lie.
struct DayBuckets: Sendable {
    private enum Storage {
        /// All of the day is in one.
        case one(Int32)
        case minutes([Int32])
        /// Where the day begins; buckets that begin inside of minutes.
        case search(Int64, [Timestamp])
    }

    private let storage: Storage

    private static let minute = UInt32(RollupTier.minute.milliseconds)

    /// - Parameter starts: Of the buckets, rising. What lies before the first is in it too.
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

    /// Where all of the day is in one.
    var only: Int? { if case .one(let bucket) = storage { Int(bucket) } else { nil } }

    /// `time`: milliseconds since the day began.
    subscript(time: UInt32) -> Int {
        switch storage {
        case .one(let bucket): Int(bucket)
        case .minutes(let minutes): Int(minutes[Int(time / Self.minute)])
        case .search(let begin, let starts): max(0, starts.partitioningIndex { $0.milliseconds > begin + Int64(time) } - 1)
        }
    }
}

/// Rows with the buckets that they lie in.
final class BucketRows: Sendable {
    private let begin: Int64
    private let times: [UInt32]
    /// Of each row; empty where all are in ``only``.
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

    /// Gives the bucket of each row; once where it is that of all.
    @inline(__always)
    func each(_ rows: Range<Int>, _ body: (Int) -> Void) {
        guard !buckets.isEmpty else { return body(only) }
        for row in rows { body(Int(buckets[row])) }
    }
}
