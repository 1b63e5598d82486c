/// Whether what was accepted adds up with what became of it, by minute of acceptance. Pure.
///
/// accepted = stored + duplicates + deadLettered + erased + in flight
public struct PipelineBalance: Sendable, Equatable {
    public struct Minute: Sendable, Equatable {
        /// Since 1970.
        public var minute: Int64
        public var counts: PipelineCounts

        public init(minute: Int64, counts: PipelineCounts) {
            self.minute = minute
            self.counts = counts
        }

        /// Accepted, and known not to be settled. What was settled on a second delivery is taken as settled then: never more is said to be
        /// missing than is.
        public var inFlight: Int64 { max(0, counts.accepted - counts.settled - counts.redelivered) }

        /// Settled, and in no process's count of what it has accepted: it was accepted in the last second of a process that was killed, or in
        /// the last second of one that runs.
        public var uncounted: Int64 { max(0, counts.settled - counts.accepted - counts.unconfirmed) }

        /// Receipt of the oldest event in flight, by the order of the queue, up to ten seconds too early.
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
    /// Those of the range in which something was counted, the oldest first.
    public var minutes: [Minute]
    public var total: PipelineCounts
    /// Receipt of the oldest event in flight, to whatever minute that was read it belongs; `nil` where there is none.
    public var waitsSince: Timestamp?
    /// In flight, of minutes that the processors have overtaken: events that were accepted ``overtaking`` later are settled.
    public var missing: Int64

    /// The queue is worked off in its order, but for what is delivered again.
    public static let overtaking = Duration.seconds(600)
    /// Counts of a process may be written so much later.
    public static let settling = Duration.seconds(10)

    /// - Parameter cells: Of `range`, of all minutes after it, and of those before it of which the lag is to be known.
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

    /// How long the oldest event in flight has waited; zero where there is none.
    public var lag: Duration { waitsSince.map { max(.zero, asOf - $0) } ?? .zero }

    public var inFlight: Int64 { minutes.reduce(0) { $0 + $1.inFlight } }

    public var uncounted: Int64 { minutes.reduce(0) { $0 + $1.uncounted } }

    /// Nothing is missing, and of minutes that are over nothing is uncounted.
    public var addsUp: Bool { missing == 0 && !minutes.contains { $0.uncounted > 0 && $0.end + Self.settling <= asOf } }

    /// About the bytes that it takes in memory.
    public var size: Int { minutes.count * 512 }
}

extension PipelineBalance.Minute {
    fileprivate var end: Timestamp { Timestamp(minute: minute + 1) }
}
