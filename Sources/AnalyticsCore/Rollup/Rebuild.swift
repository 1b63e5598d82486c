/// Rebuilds all rollups from the events. Minutes below the watermark are unchanged.
public struct Rebuild: Sendable {
    private let store: any RollupStore & ProjectStore
    private let roller: Roller

    /// Maximum number of days per step while they are empty.
    private static let longestStep: Int64 = 16

    public init(store: any RollupStore & ProjectStore, roller: Roller) {
        self.store = store
        self.roller = roller
    }

    /// Marks every bucket that exists or has events, and rolls until none is marked. It may run while the service works. Returns the
    /// number of minutes counted.
    ///
    /// `project`: only this one. `range`: only the UTC days that it touches.
    public func run(project only: ProjectID? = nil, range: Range<Timestamp> = .always) async throws -> Int {
        var total = 0
        for project in try await store.projects() where only == nil || only == project {
            guard let extent = try await store.extent(project: project)?.clamped(to: range), !extent.isEmpty else { continue }
            let start = extent.lowerBound.day
            let end = Timestamp(milliseconds: extent.upperBound.milliseconds - 1).day + 1
            var (day, step) = (start, Int64(1))
            while day < end {
                let next = min(day + step, end)
                let marks = try await marks(of: project, days: day..<next)
                if !marks.isEmpty { try await marks.write(to: store) }
                total += marks.minutes.count
                step = marks.isEmpty ? min(step * 2, Self.longestStep) : 1
                day = next
            }
        }
        try await roller.finish()
        return total
    }

    /// Without the minutes below the watermark, which keep their counts, but with their hours, which are sums of minutes.
    private func marks(of project: ProjectID, days: Range<Int64>) async throws -> BucketMarks {
        let minutes = days.lowerBound * 1440..<days.upperBound * 1440
        let oldest = ProjectRecords(try await store.newestRecords(of: [project])).firstWholeMinute(of: project)
        var marks = BucketMarks()
        try await store.eachRollupPage(.minute, project: project, in: [minutes]) { page in
            for rollup in page {
                if rollup.key.index >= oldest { marks.touch(rollup.key, causes: .rebuild) } else { marks.touch(hour: rollup.key.hour) }
            }
        }
        try await store.eachRollupPage(.hour, project: project, in: [days.lowerBound * 24..<days.upperBound * 24]) { page in
            for rollup in page { marks.touch(hour: rollup.key) }
        }
        let counted = try await store.countEvents(Selection(project: project), in: [minutes.times], into: MinutesWithEvents())
        for minute in counted.minutes where minute >= oldest {
            marks.touch(BucketKey(project: project, index: minute), causes: .rebuild)
        }
        return marks
    }
}

private struct MinutesWithEvents: CountReducer {
    private(set) var minutes: Set<Int64> = []

    mutating func add(_ row: EventCount) -> Bool {
        minutes.insert(row.minute)
        return true
    }

    mutating func finish() {}
}

extension Range<Timestamp> {
    /// Every moment that an event can have.
    public static var always: Self { .earliest..<Timestamp(milliseconds: Timestamp.latest.milliseconds + 1) }
}
