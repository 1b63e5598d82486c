/// The sources of a range: rows of segments, and the events of minutes whose current version is in no segment. Pure.
struct SegmentPlan: Sendable {
    struct Source: Sendable {
        var day: Int64
        var run: SegmentHead.Run
        /// Per minute of the day, whether its rows are wanted; `nil` for all.
        var minutes: [Bool]?
        /// The part of the day in the range, in milliseconds since its start; `nil` for the whole day.
        var times: Range<UInt32>?
    }

    private(set) var sources: [Source] = []
    private(set) var scans: [Range<Timestamp>] = []
    /// Minutes of the scans that are known to be the only changes of their day, and their versions.
    private(set) var stale: [(minute: Int64, version: Int64)] = []

    let range: Range<Timestamp>
    /// The fields that a run must have.
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
    ///   - version: The version of the day, read before the head.
    ///   - head: `nil` if there is none.
    ///   - minutes: The versions of the day's minutes, by minute of the day; empty if the head has this version of the day.
    mutating func add(day: Int64, version: Int64, head: SegmentHead?, minutes: [Int64]) {
        let begin = day * RollupTier.day.milliseconds
        let whole = begin..<begin + RollupTier.day.milliseconds
        let part = (range.lowerBound.milliseconds..<range.upperBound.milliseconds).clamped(to: whole)
        guard !part.isEmpty else { return }
        let times = part == whole ? nil : UInt32(part.lowerBound - begin)..<UInt32(part.upperBound - begin)
        let touched = Int((part.lowerBound - begin) / 60_000)...Int((part.upperBound - 1 - begin) / 60_000)
        guard let head else {
            let marked = touched.filter { minutes.indices.contains($0) && minutes[$0] != 0 }
            // One scan of the whole part costs less than one per minute, unless there are few.
            guard !minutes.isEmpty, stale.count + marked.count <= LiveMinutes.minutesAtATime else { return addScans([part]) }
            return addStale(marked.map { (minute: $0, version: minutes[$0]) }, of: day, in: part)
        }
        let isReadable = head.builds.map { self.isReadable($0) }
        var wanted = head.builds.map { _ in 0 }
        var masks = head.builds.map { _ in [Bool](repeating: false, count: SegmentHead.minutesInDay) }
        var stale: [(minute: Int, version: Int64)] = []
        for minute in touched {
            let run = head.runs[minute]
            let isCurrent = head.dayVersion == version || minutes[minute] == head.versions[minute]
            if isCurrent, run == SegmentHead.noRun { continue }
            if isCurrent, run >= 0, isReadable[Int(run)] {
                let run = Int(run)
                masks[run][minute] = true
                wanted[run] += 1
            } else {
                stale.append((minute: minute, version: minutes.isEmpty ? head.versions[minute] : minutes[minute]))
            }
        }
        for (place, run) in head.builds.enumerated() where wanted[place] > 0 {
            sources.append(
                Source(day: day, run: run, minutes: wanted[place] == run.minutes ? nil : masks[place], times: times))
        }
        addStale(stale, of: day, in: part)
    }

    /// Adds the minutes of a day, clamped to a part of it.
    private mutating func addStale(_ minutes: [(minute: Int, version: Int64)], of day: Int64, in part: Range<Int64>) {
        let first = day * Int64(SegmentHead.minutesInDay)
        stale += minutes.map { (minute: first + Int64($0.minute), version: $0.version) }
        let length = RollupTier.minute.milliseconds
        addScans(
            coalesce(minutes.map { first + Int64($0.minute) }).map { ($0.lowerBound * length..<$0.upperBound * length).clamped(to: part) })
    }

    private func isReadable(_ run: SegmentHead.Run) -> Bool {
        !unreadable.contains(run.id) && fields.allSatisfy { $0 == .userId || run.fields.contains($0) }
    }

    /// The scans without some minutes.
    func scans(without minutes: Set<Int64>) -> [Range<Timestamp>] {
        let gaps = minutes.sorted().map { ($0..<$0 + 1).times }
        return scans.flatMap { range in
            var (parts, start): ([Range<Timestamp>], Timestamp) = ([], range.lowerBound)
            for gap in gaps where gap.overlaps(range) {
                if start < gap.lowerBound { parts.append(start..<gap.lowerBound) }
                start = gap.upperBound
            }
            return start < range.upperBound ? parts + [start..<range.upperBound] : parts
        }
    }

    /// Joins adjacent ranges.
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
