internal import Algorithms

/// The number of events in a bucket by the UTC day of their receipt, in the byte format of both stores.
///
/// Per day, in ascending order, two LEB128 numbers: the days since the day before it in the table (for the first, since the day before
/// 0001-01-01), and the events. A bucket without events has no bytes.
public struct ReceivedTable: Sendable, Equatable {
    public let bytes: [UInt8]

    /// Days per table: 89 years, at most 170 KiB.
    static let maximumDays = 1 << 15

    public static let empty = ReceivedTable(bytes: [])

    /// Bytes from a store. They are checked when read.
    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Stored bytes that begin with the `done` of the bucket. `nil` if they are of another count: an earlier version of the service has
    /// counted the bucket since, without a table.
    public init?(stored: [UInt8], for done: Int64) {
        let beginning = Self.beginning(for: done)
        guard stored.starts(with: beginning) else { return nil }
        bytes = Array(stored.dropFirst(beginning.count))
    }

    public func stored(for done: Int64) -> [UInt8] { Self.beginning(for: done) + bytes }

    /// A LEB128 number: none begins with another.
    public static func beginning(for done: Int64) -> [UInt8] {
        var writer = TableWriter()
        // A damaged store may hold a negative one.
        writer.number(max(0, done))
        return writer.bytes
    }

    /// In ascending order, each once. Every day is that of a valid time, and has 1 to 2⁴⁰ events.
    public func days() throws(GroupTable.Unreadable) -> [(day: Int64, events: Int64)] {
        try bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            var days: [(day: Int64, events: Int64)] = []
            var day = RollupTier.day.indexes.lowerBound - 1
            while !cursor.isAtEnd {
                let (step, events) = (try cursor.number(), try cursor.count())
                guard step > 0, step <= RollupTier.day.indexes.upperBound - day, events > 0, days.count < Self.maximumDays else {
                    throw .damaged
                }
                day += step
                days.append((day, events))
            }
            return days
        }
    }
}

/// Adds up events by the UTC day of their receipt.
struct ReceivedSums: Sendable {
    /// In ascending order, each once.
    private var days: [(day: Int64, events: Int64)] = []

    /// Wraps around; ``table`` refuses such sums.
    var total: Int64 { days.reduce(0) { $0 &+ $1.events } }

    mutating func add(_ events: Int64, on day: Int64) {
        guard events != 0 else { return }
        // Nearly all events of a bucket are received on one day.
        let place = days.last.map { $0.day < day } ?? true ? days.count : days.partitioningIndex { $0.day >= day }
        if place < days.count, days[place].day == day {
            days[place].events &+= events
        } else {
            days.insert((day, events), at: place)
        }
    }

    mutating func add(_ table: [(day: Int64, events: Int64)]) {
        for (day, events) in table { add(events, on: day) }
    }

    /// `nil` if a table cannot hold the sums: too many days or events, or a time of receipt that is not valid. Readers then use the finer
    /// tier.
    var table: ReceivedTable? {
        let isPossible = days.allSatisfy { day, events in
            RollupTier.day.indexes.contains(day) && (1...RollupGroup.maximumCount).contains(events)
        }
        guard isPossible, days.count <= ReceivedTable.maximumDays else { return nil }
        var writer = TableWriter()
        var before = RollupTier.day.indexes.lowerBound - 1
        for (day, events) in days {
            writer.number(day - before)
            writer.number(events)
            before = day
        }
        return ReceivedTable(bytes: writer.bytes)
    }
}
