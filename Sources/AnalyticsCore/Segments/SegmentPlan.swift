/// What a range is read from: rows of segments, and the events of minutes that no segment tells as they are now. Pure.
struct SegmentPlan: Sendable {
    struct Source: Sendable {
        var day: Int64
        var run: SegmentHead.Run
        /// For each minute of the day whether its rows are wanted; `nil` when all are.
        var minutes: [Bool]?
        /// What of the day lies in the range, in milliseconds since it began; `nil` when all of it does.
        var times: Range<UInt32>?
    }

    private(set) var sources: [Source] = []
    private(set) var scans: [Range<Timestamp>] = []

    let range: Range<Timestamp>
    /// Columns that a run must have.
    let fields: [RowField]
    /// Runs that could not be read.
    let unreadable: Set<Int64>

    init(_ range: Range<Timestamp>, fields: [RowField], unreadable: Set<Int64> = []) {
        self.range = range
        self.fields = fields
        self.unreadable = unreadable
    }

    /// Adds a day that has events.
    ///
    /// - Parameters:
    ///   - version: The day's, read before the head.
    ///   - head: `nil` where there is none.
    ///   - minutes: The versions of the day's minutes, by their places in it; only needed where the head is of another version of the day.
    mutating func add(day: Int64, version: Int64, head: SegmentHead?, minutes: [Int64]) {
        let begin = day * RollupTier.day.milliseconds
        let whole = begin..<begin + RollupTier.day.milliseconds
        let part = (range.lowerBound.milliseconds..<range.upperBound.milliseconds).clamped(to: whole)
        guard !part.isEmpty else { return }
        guard let head else { return addScans([part]) }
        let times = part == whole ? nil : UInt32(part.lowerBound - begin)..<UInt32(part.upperBound - begin)
        let touched = Int((part.lowerBound - begin) / 60_000)...Int((part.upperBound - 1 - begin) / 60_000)
        let isReadable = head.builds.map { self.isReadable($0) }
        var wanted = head.builds.map { _ in 0 }
        var masks = head.builds.map { _ in [Bool](repeating: false, count: SegmentHead.minutesInDay) }
        var stale: [Int64] = []
        for minute in touched {
            let run = head.runs[minute]
            let isCurrent = head.dayVersion == version || minutes[minute] == head.versions[minute]
            if isCurrent, run == SegmentHead.noRun { continue }
            if isCurrent, run >= 0, isReadable[Int(run)] {
                let run = Int(run)
                masks[run][minute] = true
                wanted[run] += 1
            } else {
                stale.append(Int64(minute))
            }
        }
        for (place, run) in head.builds.enumerated() where wanted[place] > 0 {
            sources.append(
                Source(day: day, run: run, minutes: wanted[place] == run.minutes ? nil : masks[place], times: times))
        }
        addScans(coalesce(stale).map { (begin + $0.lowerBound * 60_000..<begin + $0.upperBound * 60_000).clamped(to: part) })
    }

    private func isReadable(_ run: SegmentHead.Run) -> Bool {
        !unreadable.contains(run.id) && fields.allSatisfy { $0 == .userId || run.fields.contains($0) }
    }

    /// Neighbours become one.
    private mutating func addScans(_ ranges: [Range<Int64>]) {
        for range in ranges {
            let (start, end) = (Timestamp(milliseconds: range.lowerBound), Timestamp(milliseconds: range.upperBound))
            if let last = scans.last, last.upperBound == start {
                scans[scans.count - 1] = last.lowerBound..<end
            } else {
                scans.append(start..<end)
            }
        }
    }
}
