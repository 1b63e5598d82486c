/// Compares accepted events with settled ones, by minute of acceptance. Pure.
///
/// accepted = stored + duplicates + deadLettered + erased + in flight
public struct PipelineBalance: Sendable, Equatable {
    public struct Minute: Sendable, Equatable {
        /// Minutes since 1970.
        public var minute: Int64
        public var counts: PipelineCounts

        public init(minute: Int64, counts: PipelineCounts) {
            self.minute = minute
            self.counts = counts
        }

        /// Accepted and certainly not settled. Redelivered events count as settled, so the number is never too high.
        public var inFlight: Int64 { max(0, counts.accepted - counts.settled - counts.redelivered) }

        /// Settled, but not in any process's count of accepted events. They were accepted in the last second before a process was killed,
        /// or in the current second of a running process.
        public var uncounted: Int64 { max(0, counts.settled - counts.accepted - counts.unconfirmed) }

        /// Time of receipt of the oldest event in flight, by queue order; up to ten seconds too early.
        fileprivate var waitsSince: Timestamp? {
            guard inFlight > 0 else { return nil }
            var accepted: Int64 = 0
            let slot =
                counts.tens.firstIndex { own in
                    accepted += own
                    return accepted > counts.settled + counts.redelivered
                } ?? 0
            let start = Timestamp(minute: minute) + PipelineCounts.slot * slot
            return [start, counts.first, counts.through].compactMap(\.self).max()
        }
    }

    public var asOf: Timestamp
    public var range: Range<Int64>
    /// The minutes of the range with counts, oldest first.
    public var minutes: [Minute]
    public var total: PipelineCounts
    /// Time of receipt of the oldest event in flight, in any minute that was read; `nil` if there is none.
    public var waitsSince: Timestamp?
    /// In-flight events of minutes that the processors have passed: events accepted ``overtaking`` later are settled.
    public var missing: Int64

    /// The queue is consumed in order, except for redeliveries.
    public static let overtaking = Duration.seconds(600)
    /// Maximum delay before a process writes its counts.
    public static let settling = Duration.seconds(10)

    /// - Parameter cells: Cells of `range`, of all later minutes, and of the earlier minutes that count for the lag.
    public init(_ cells: [PipelineCell], range: Range<Int64>, asOf: Timestamp) {
        var sums: [Int64: PipelineCounts] = [:]
        for cell in cells { sums[cell.minute, default: PipelineCounts()].add(cell.counts) }
        let all = sums.map { Minute(minute: $0, counts: $1) }.sorted { $0.minute < $1.minute }
        self.asOf = asOf
        self.range = range
        minutes = all.filter { range.contains($0.minute) }
        total = minutes.reduce(into: PipelineCounts()) { $0.add($1.counts) }
        waitsSince = all.lazy.compactMap(\.waitsSince).min()
        let through = all.compactMap(\.counts.through).max()
        missing = minutes.filter { minute in through.map { minute.end + Self.overtaking <= $0 } ?? false }.reduce(0) { $0 + $1.inFlight }
    }

    /// Age of the oldest event in flight; zero if there is none.
    public var lag: Duration { waitsSince.map { max(.zero, asOf - $0) } ?? .zero }

    public var inFlight: Int64 { minutes.reduce(0) { $0 + $1.inFlight } }

    public var uncounted: Int64 { minutes.reduce(0) { $0 + $1.uncounted } }

    /// No event is missing, and no minute that has ended has uncounted events.
    public var addsUp: Bool { missing == 0 && !minutes.contains { $0.uncounted > 0 && $0.end + Self.settling <= asOf } }

    /// Approximate size in memory in bytes.
    public var size: Int { minutes.count * 512 }
}

extension PipelineBalance.Minute {
    fileprivate var end: Timestamp { Timestamp(minute: minute + 1) }
}
