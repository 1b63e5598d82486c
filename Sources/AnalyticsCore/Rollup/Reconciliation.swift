/// Compares rollups with the events they stand for.
public struct Reconciliation: Sendable {
    /// A bucket whose rollup does not say what its events say.
    public struct Difference: Sendable, Equatable, CustomStringConvertible {
        public var tier: RollupTier
        public var bucket: BucketKey
        public var type: String
        public var source: String
        public var rollup: Int64
        public var events: Int64

        public var description: String {
            let start = Timestamp(milliseconds: bucket.index * tier.milliseconds)
            return "\(tier.rawValue) \(start.rfc3339) project \(bucket.project) type \(type) source \(source): "
                + "rollup \(rollup), events \(events)"
        }
    }

    public struct Report: Sendable, Equatable {
        public var events: Int64 = 0
        public var minutes = 0
        public var hours = 0
        /// Marked buckets: not counted yet, and so neither right nor wrong.
        public var marked = 0
        public var differences: [Difference] = []

        public init() {}
    }

    private let store: any RollupStore

    public init(store: any RollupStore) {
        self.store = store
    }

    /// Walks every project, a few hours at a time. `progress` is called after each step with the share done, 0 to 1.
    public func run(progress: (Double) -> Void = { _ in }) async throws -> Report {
        var report = Report()
        for project in try await store.projects() {
            guard let extent = try await store.extent(project: project) else { continue }
            var hour = extent.lowerBound.hour
            let end = Timestamp(milliseconds: extent.upperBound.milliseconds - 1).hour + 1
            let start = hour
            while hour < end {
                let next = min(hour + 24, end)
                try await compare(project, hours: hour..<next, &report)
                hour = next
                progress(Double(hour - start) / Double(end - start))
            }
        }
        return report
    }

    private func compare(_ project: String, hours range: Range<Int64>, _ report: inout Report) async throws {
        // Rollups first, then the events, then the rollups' versions again: what was marked meanwhile is not compared.
        let minuteRange = range.lowerBound * 60..<range.upperBound * 60
        let before = try await store.rollups(.minute, project: project, in: [minuteRange])
        let hours = try await store.rollups(.hour, project: project, in: [range])
        let times = Timestamp(minute: minuteRange.lowerBound)..<Timestamp(minute: minuteRange.upperBound)
        let counted = try await store.countEvents(project: project, in: [times])
        let after = try await store.rollups(.minute, project: project, in: [minuteRange])
        let versions = Dictionary(uniqueKeysWithValues: after.map { ($0.key, $0.version) })
        let events = Dictionary(uniqueKeysWithValues: counted.map { ($0.minute, $0.groups) })

        var unsettled: Set<BucketKey> = []
        for minute in before {
            report.minutes += 1
            if minute.dirty || versions[minute.key] != minute.version {
                report.marked += 1
                unsettled.insert(minute.key.hour)
            } else {
                report.differences += differences(.minute, minute.key, minute.groups, events[minute.key.index] ?? [])
            }
        }
        let known = Set(before.map(\.key.index))
        for minute in counted {
            report.events += minute.groups.reduce(0) { $0 + $1.count }
            let key = BucketKey(project: project, index: minute.minute)
            guard !known.contains(minute.minute) else { continue }
            if versions[key] == nil { report.differences += differences(.minute, key, [], minute.groups) }
            unsettled.insert(key.hour)
        }
        let byHour = Dictionary(grouping: before, by: \.key.hour)
        report.differences += missing(hours, among: byHour, unsettled: unsettled)
        for hour in hours {
            report.hours += 1
            if hour.dirty || unsettled.contains(hour.key) {
                report.marked += hour.dirty ? 1 : 0
            } else {
                report.differences += differences(.hour, hour.key, hour.groups, Roller.sum(byHour[hour.key] ?? []))
            }
        }
    }

    // An hour that has minutes and no rollup of its own was never marked: its whole count is missing.
    private func missing(_ hours: [Rollup], among byHour: [BucketKey: [Rollup]], unsettled: Set<BucketKey>) -> [Difference] {
        let present = Set(hours.map(\.key))
        return byHour.filter { !present.contains($0.key) && !unsettled.contains($0.key) }
            .flatMap { differences(.hour, $0.key, [], Roller.sum($0.value)) }
    }

    private func differences(
        _ tier: RollupTier, _ key: BucketKey, _ rollup: [RollupGroup], _ events: [RollupGroup]
    ) -> [Difference] {
        var counts: [[String]: (rollup: Int64, events: Int64)] = [:]
        for group in rollup { counts[[group.type, group.source], default: (0, 0)].rollup += group.count }
        for group in events { counts[[group.type, group.source], default: (0, 0)].events += group.count }
        return counts.filter { $0.value.rollup != $0.value.events }.map { name, count in
            Difference(tier: tier, bucket: key, type: name[0], source: name[1], rollup: count.rollup, events: count.events)
        }
    }
}

/// Throws all rollups away and makes them anew from the events.
public struct Rebuild: Sendable {
    private let store: any RollupStore
    private let roller: Roller

    public init(store: any RollupStore, roller: Roller) {
        self.store = store
        self.roller = roller
    }

    /// Marks every bucket that has events, or that exists, and rolls until none is marked. May run beside a service at work.
    /// Returns how many minutes were counted.
    public func run(progress: (Double) -> Void = { _ in }) async throws -> Int {
        var total = 0
        for project in try await store.projects() {
            guard let extent = try await store.extent(project: project) else { continue }
            let start = extent.lowerBound.day
            let end = Timestamp(milliseconds: extent.upperBound.milliseconds - 1).day + 1
            for day in start..<end {
                let minutes = day * 1440..<(day + 1) * 1440
                var marks = BucketMarks()
                for rollup in try await store.rollups(.minute, project: project, in: [minutes]) { marks.touch(rollup.key) }
                for rollup in try await store.rollups(.hour, project: project, in: [day * 24..<(day + 1) * 24]) {
                    marks.touch(BucketKey(project: project, index: rollup.key.index * 60))
                }
                let times = Timestamp(minute: minutes.lowerBound)..<Timestamp(minute: minutes.upperBound)
                for minute in try await store.countEvents(project: project, in: [times]) {
                    marks.touch(BucketKey(project: project, index: minute.minute))
                }
                if !marks.minutes.isEmpty {
                    total += marks.minutes.count
                    try await marks.write(to: store)
                }
                progress(Double(day + 1 - start) / Double(end - start))
            }
        }
        try await roller.finish()
        return total
    }
}
