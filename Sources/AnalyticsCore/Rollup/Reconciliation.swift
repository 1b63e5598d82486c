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
        /// Minutes below the watermark: their events may be deleted, and nothing is left to compare them with.
        public var expired = 0
        public var differences: [Difference] = []

        public init() {}
    }

    private let store: any RollupStore & ProjectStore
    private let pause: Duration

    /// Hours compared at a time; where there is nothing the step doubles, up to ``longestStep``.
    private static let hoursAtATime: Int64 = 24
    private static let longestStep: Int64 = 384
    /// How often a range is looked at, with a pause between, before a difference counts as one.
    private static let looks = 3

    /// `pause`: time for a flush to mark what it has just inserted; what is found different is looked at again after it.
    public init(store: any RollupStore & ProjectStore, pause: Duration = .seconds(1)) {
        self.store = store
        self.pause = pause
    }

    /// Walks every project, a few hours at a time.
    public func run() async throws -> Report {
        var report = Report()
        for project in try await store.projects() {
            guard let extent = try await store.extent(project: project) else { continue }
            let start = extent.lowerBound.hour
            let end = Timestamp(milliseconds: extent.upperBound.milliseconds - 1).hour + 1
            var (hour, step) = (start, Self.hoursAtATime)
            while hour < end {
                let next = min(hour + step, end)
                let found = try await settled(project, hours: hour..<next)
                report.add(found)
                step = found.isEmpty ? min(step * 2, Self.longestStep) : Self.hoursAtATime
                hour = next
            }
        }
        return report
    }

    /// Events are inserted a moment before their buckets are marked: a difference is one that is still there after some pauses.
    private func settled(_ project: String, hours range: Range<Int64>) async throws -> Report {
        var report = try await compare(project, hours: range)
        for _ in 1..<Self.looks where !report.differences.isEmpty {
            try await Task.sleep(for: pause)
            let before = report.differences
            report = try await compare(project, hours: range)
            report.differences = report.differences.filter(before.contains)
        }
        return report
    }

    private func compare(_ project: String, hours range: Range<Int64>) async throws -> Report {
        var report = Report()
        // Rollups first, then the events, then the rollups' versions again: what was marked meanwhile is not compared. The watermark
        // last: whatever was deleted before the events were counted lies below it.
        let minuteRange = range.lowerBound * 60..<range.upperBound * 60
        let before = try await store.rollups(.minute, project: project, in: [minuteRange])
        let hours = try await store.rollups(.hour, project: project, in: [range])
        let times = Timestamp(minute: minuteRange.lowerBound)..<Timestamp(minute: minuteRange.upperBound)
        let counted = try await store.countEvents(project: project, in: [times])
        let after = try await store.rollups(.minute, project: project, in: [minuteRange])
        let versions = Dictionary(uniqueKeysWithValues: after.map { ($0.key, $0.version) })
        let events = Dictionary(uniqueKeysWithValues: counted.map { ($0.minute, $0.groups) })
        let oldest = ProjectRecords(try await store.newestRecords(of: [project])).firstWholeMinute(of: project)

        var unsettled: Set<BucketKey> = []
        for minute in before {
            report.minutes += 1
            if minute.dirty || versions[minute.key] != minute.version {
                report.marked += 1
                unsettled.insert(minute.key.hour)
            } else if minute.key.index < oldest {
                report.expired += 1
            } else {
                report.differences += differences(.minute, minute.key, minute.groups, events[minute.key.index] ?? [])
            }
        }
        let known = Set(before.map(\.key.index))
        for minute in counted where minute.minute >= oldest {
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
        return report
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
        var counts: [[ExactText]: (rollup: Int64, events: Int64)] = [:]
        for group in rollup { counts[[ExactText(group.type), ExactText(group.source)], default: (0, 0)].rollup += group.count }
        for group in events { counts[[ExactText(group.type), ExactText(group.source)], default: (0, 0)].events += group.count }
        // An hour's quarters may be wrong although their sum is right.
        let quarters = Dictionary(events.map { ([ExactText($0.type), ExactText($0.source)], $0.quarters) }) { first, _ in first }
        let wrongQuarters = Set(
            rollup.map { ([ExactText($0.type), ExactText($0.source)], $0.quarters) }.filter { quarters[$0.0] != $0.1 }.map(\.0))
        return counts.filter { $0.value.rollup != $0.value.events || wrongQuarters.contains($0.key) }.map { name, count in
            Difference(tier: tier, bucket: key, type: name[0].text, source: name[1].text, rollup: count.rollup, events: count.events)
        }
    }
}

extension Reconciliation {
    /// Hours of a project that are to be counted again.
    public struct Recount: Sendable, Equatable {
        public var project: String
        public var range: Range<Timestamp>
    }
}

extension Reconciliation.Report {
    /// The hours in which the differences lie, by project, neighbours as one range.
    public var recounts: [Reconciliation.Recount] {
        Dictionary(grouping: differences) { ExactText($0.bucket.project) }.flatMap { project, differences in
            let hours = Set(differences.map { $0.tier == .minute ? $0.bucket.hour.index : $0.bucket.index }).sorted()
            return coalesce(hours).map {
                Reconciliation.Recount(project: project.text, range: Timestamp(hour: $0.lowerBound)..<Timestamp(hour: $0.upperBound))
            }
        }
        .sorted { ($0.project, $0.range.lowerBound) < ($1.project, $1.range.lowerBound) }
    }

    fileprivate var isEmpty: Bool { events == 0 && minutes == 0 && hours == 0 }

    fileprivate mutating func add(_ other: Self) {
        events += other.events
        minutes += other.minutes
        hours += other.hours
        marked += other.marked
        expired += other.expired
        differences += other.differences
    }
}
