/// Compares rollups with their events.
public struct Reconciliation: Sendable {
    /// A group in which a bucket's rollup differs from its events.
    public struct Difference: Sendable, Equatable, CustomStringConvertible {
        public var tier: RollupTier
        public var bucket: BucketKey
        public var type: String
        public var source: String
        public var rollup: Int64
        public var events: Int64
        /// The number of bot events, if the two differ in it.
        public var bots: Bots?
        /// The UTC day, if the two differ in the number of events that were received on it; type and source are then `*`.
        public var received: Int64?

        public struct Bots: Sendable, Equatable {
            public var rollup: Int64
            public var events: Int64
        }

        public var description: String {
            let start = Timestamp(milliseconds: bucket.index * tier.milliseconds)
            let group = received.map { "received \(Timestamp(day: $0).date)" } ?? "type \(type) source \(source)"
            return "\(tier.rawValue) \(start.rfc3339) project \(bucket.project) \(group): rollup \(rollup), events \(events)"
                + (bots.map { ", of bots: rollup \($0.rollup), events \($0.events)" } ?? "")
        }
    }

    public struct Report: Sendable, Equatable {
        public var events: Int64 = 0
        public var minutes = 0
        public var hours = 0
        public var days = 0
        /// Marked buckets: not counted yet, so not compared.
        public var marked = 0
        /// Minutes below the watermark: their events may be deleted, so they are not compared.
        public var expired = 0
        /// Counted buckets without a table of receipt: readers use the finer tier.
        public var missingReceived = 0
        public var differences: [Difference] = []

        public init() {}
    }

    private let store: any RollupStore & ProjectStore
    private let pause: Duration
    private let elapsed: ElapsedClock

    /// Hours per step; the step doubles while it finds nothing, up to ``longestStep``.
    private static let hoursAtATime: Int64 = 24
    private static let longestStep: Int64 = 64 * 24
    /// The number of comparisons, with a pause between them, before a difference is reported.
    private static let attempts = 3

    /// `pause`: time for a flush to mark the events that it has just inserted. Differences are compared again after it.
    public init(store: any RollupStore & ProjectStore, pause: Duration = .seconds(1), elapsed: ElapsedClock = .system) {
        self.store = store
        self.pause = pause
        self.elapsed = elapsed
    }

    /// Compares every project, a few hours at a time.
    public func run() async throws -> Report {
        var report = Report()
        for project in try await store.projects() {
            guard let extent = try await store.extent(project: project) else { continue }
            // Whole days, since days are compared too.
            let start = extent.lowerBound.day * RollupTier.day.parts
            let end = (Timestamp(milliseconds: extent.upperBound.milliseconds - 1).day + 1) * RollupTier.day.parts
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

    /// Events are inserted before their buckets are marked, so only a difference that persists after pauses counts.
    private func settled(_ project: ProjectID, hours range: Range<Int64>) async throws -> Report {
        var report = try await compare(project, hours: range)
        for _ in 1..<Self.attempts where !report.differences.isEmpty {
            try await elapsed.sleep(pause)
            let before = report.differences
            report = try await compare(project, hours: range)
            report.differences = report.differences.filter(before.contains)
        }
        return report
    }

    private func compare(_ project: ProjectID, hours range: Range<Int64>) async throws -> Report {
        var report = Report()
        var seen = Seen()
        var minutes = range.lowerBound * 60..<range.upperBound * 60
        while !minutes.isEmpty {
            let next = try await compareMinutes(project, minutes, &report, &seen)
            minutes = next..<minutes.upperBound
        }
        let seenOfDays = try await compareSums(.hour, project, range, &report, seen)
        let days = range.lowerBound / RollupTier.day.parts..<range.upperBound / RollupTier.day.parts
        _ = try await compareSums(.day, project, days, &report, seenOfDays)
        return report
    }

    /// Buckets of the next tier.
    private struct Seen {
        /// Buckets with a finer bucket that was not compared.
        var unsettled: Set<Int64> = []
        /// Buckets with a finer bucket that has a rollup.
        var expected: Set<Int64> = []
    }

    /// Compares the first minutes of a range, as many as fit in memory, and returns the first minute that was not compared.
    ///
    /// Reads the rollups, then the events, then the rollups' versions again: minutes marked in between are not compared. The
    /// watermark is read last: everything deleted before the events were counted lies below it.
    private func compareMinutes(
        _ project: ProjectID, _ range: Range<Int64>, _ report: inout Report, _ seen: inout Seen
    ) async throws -> Int64 {
        let page = try await store.rollups(.minute, project: project, in: [range], byteLimit: RollupPage.byteLimit, content: .all)
        let counted = try await store.countMinutes(
            of: project, in: [range.lowerBound..<(page.next ?? range.upperBound)], isByReceipt: true)
        let end = counted.next ?? page.next ?? range.upperBound
        var versions: [Int64: Int64] = [:]
        try await store.eachRollupPage(.minute, project: project, in: [range.lowerBound..<end]) { page in
            for minute in page { versions[minute.key.index] = minute.version }
        }
        let oldest = ProjectRecords(try await store.newestRecords(of: [project])).firstWholeMinute(of: project)
        let before = page.rollups.prefix { $0.key.index < end }
        for minute in before {
            report.minutes += 1
            if !minute.dirty, minute.received == nil { report.missingReceived += 1 }
            seen.expected.insert(minute.key.hour.index)
            if minute.dirty || versions[minute.key.index] != minute.version {
                report.marked += 1
                seen.unsettled.insert(minute.key.hour.index)
            } else if minute.key.index < oldest {
                report.expired += 1
            } else {
                let index = minute.key.index
                report.differences += Self.differences(.minute, minute, counted.tables[index] ?? .empty, counted.received(in: index))
            }
        }
        let known = Set(before.map(\.key.index))
        for (minute, table) in counted.tables where minute >= oldest {
            report.events += (try? table.total()) ?? 0
            let key = BucketKey(project: project, index: minute)
            guard !known.contains(minute) else { continue }
            if versions[minute] == nil { report.differences += Self.differences(.minute, key, .empty, table) }
            seen.unsettled.insert(key.hour.index)
        }
        return end
    }

    /// Compares hours or days with the sums of finer buckets. Returns the buckets of the next tier.
    private func compareSums(
        _ tier: RollupTier, _ project: ProjectID, _ range: Range<Int64>, _ report: inout Report, _ seen: Seen
    ) async throws -> Seen {
        var next = Seen()
        var missing = seen.expected.subtracting(seen.unsettled)
        try await store.eachRollupPage(tier, project: project, in: [range], content: .all) { page in
            var compared: [Int64: Rollup] = [:]
            for bucket in page {
                let isUnsettled = bucket.dirty || seen.unsettled.contains(bucket.key.index)
                next.expected.insert(bucket.key.dayOfHour.index)
                if isUnsettled { next.unsettled.insert(bucket.key.dayOfHour.index) } else { compared[bucket.key.index] = bucket }
                missing.remove(bucket.key.index)
            }
            if tier == .hour { report.hours += page.count } else { report.days += page.count }
            report.marked += page.count(where: \.dirty)
            report.missingReceived += page.count(where: { !$0.dirty && $0.received == nil })
            try await BucketSums.each(tier, of: project, in: coalesce(compared.keys.sorted()), from: store) { index, sum in
                guard let bucket = compared.removeValue(forKey: index), case .table(let table, let received) = sum else { return }
                report.differences += Self.differences(tier, bucket, table, received)
            }
            for bucket in compared.values { report.differences += Self.differences(tier, bucket, .empty, .empty) }
        }
        // A bucket with finer buckets but no rollup was never marked: its whole count is missing.
        try await BucketSums.each(tier, of: project, in: coalesce(missing.sorted()), from: store) { index, sum in
            guard case .table(let table, _) = sum else { return }
            report.differences += Self.differences(tier, BucketKey(project: project, index: index), .empty, table)
        }
        return next
    }

    /// Compares the groups, and if they are right the table of receipt. A missing one is not wrong: readers use the finer tier.
    private static func differences(
        _ tier: RollupTier, _ bucket: Rollup, _ groups: GroupTable, _ events: ReceivedTable?
    ) -> [Difference] {
        let found = differences(tier, bucket.key, bucket.table, groups)
        guard found.isEmpty else { return found }
        guard let rollup = bucket.received, let events, rollup != events else { return [] }
        func difference(_ day: Int64, _ rollup: Int64, _ events: Int64) -> Difference {
            Difference(tier: tier, bucket: bucket.key, type: "*", source: "*", rollup: rollup, events: events, received: day)
        }
        let truth = (try? events.days()) ?? []
        guard let own = try? rollup.days() else {
            let day = BucketSpan(tier: tier, index: bucket.key.index).start(ofQuarter: 0).day
            return [difference(day, 0, truth.reduce(0) { $0 &+ $1.events })]
        }
        var counts: [Int64: (rollup: Int64, events: Int64)] = [:]
        for (day, count) in own { counts[day, default: (0, 0)].rollup = count }
        for (day, count) in truth { counts[day, default: (0, 0)].events = count }
        return counts.filter { $0.value.rollup != $0.value.events }.map { difference($0.key, $0.value.rollup, $0.value.events) }
    }

    private static func differences(
        _ tier: RollupTier, _ key: BucketKey, _ rollup: GroupTable, _ events: GroupTable
    ) -> [Difference] {
        guard rollup != events else { return [] }
        guard let own = try? rollup.groups(), let truth = try? events.groups() else {
            // One table has no readable groups and the other does, or its bytes are damaged.
            if (try? rollup.groups()) == nil, (try? events.groups()) == nil, !rollup.isDamaged { return [] }
            return [
                Difference(
                    tier: tier, bucket: key, type: "*", source: "*", rollup: (try? rollup.total()) ?? 0, events: (try? events.total()) ?? 0)
            ]
        }
        return differences(tier, key, own, truth)
    }

    private static func differences(
        _ tier: RollupTier, _ key: BucketKey, _ rollup: [RollupGroup], _ events: [RollupGroup]
    ) -> [Difference] {
        // An hour's quarters may be wrong even if their sum is right, and so may the counts of bot events.
        struct Parts: Hashable {
            var quarters: [Int64]
            var bots: [Int64]
        }
        func parts(_ groups: [RollupGroup]) -> [[BytewiseString]: Parts] {
            Dictionary(groups.map { ([BytewiseString($0.type), BytewiseString($0.source)], Parts(quarters: $0.quarters, bots: $0.bots)) }) {
                first, _ in first
            }
        }
        var counts: [[BytewiseString]: (rollup: Int64, events: Int64)] = [:]
        for group in rollup { counts[[BytewiseString(group.type), BytewiseString(group.source)], default: (0, 0)].rollup += group.count }
        for group in events { counts[[BytewiseString(group.type), BytewiseString(group.source)], default: (0, 0)].events += group.count }
        let (own, truth) = (parts(rollup), parts(events))
        return counts.filter { $0.value.rollup != $0.value.events || own[$0.key] != truth[$0.key] }.map { name, count in
            let bots = [own, truth].map { $0[name]?.bots.reduce(0, +) ?? 0 }
            return Difference(
                tier: tier, bucket: key, type: name[0].text, source: name[1].text, rollup: count.rollup, events: count.events,
                bots: bots[0] == bots[1] ? nil : .init(rollup: bots[0], events: bots[1]))
        }
    }
}

extension Reconciliation {
    /// Hours of a project to count again.
    public struct Recount: Sendable, Equatable {
        public var project: ProjectID
        public var range: Range<Timestamp>
    }
}

extension Reconciliation.Report {
    /// The hours with differences, by project. Adjacent hours are one range.
    public var recounts: [Reconciliation.Recount] {
        Dictionary(grouping: differences, by: \.bucket.project).flatMap { project, differences in
            let hours = differences.flatMap { difference in
                let times = [difference.bucket.index, difference.bucket.index + 1].map { $0 * difference.tier.milliseconds }
                return Timestamp(milliseconds: times[0]).hour...Timestamp(milliseconds: times[1] - 1).hour
            }
            return coalesce(Set(hours).sorted()).map {
                Reconciliation.Recount(project: project, range: Timestamp(hour: $0.lowerBound)..<Timestamp(hour: $0.upperBound))
            }
        }
        .sorted { ($0.project, $0.range.lowerBound) < ($1.project, $1.range.lowerBound) }
    }

    fileprivate var isEmpty: Bool { events == 0 && minutes == 0 && hours == 0 && days == 0 }

    fileprivate mutating func add(_ other: Self) {
        events += other.events
        minutes += other.minutes
        hours += other.hours
        days += other.days
        marked += other.marked
        expired += other.expired
        missingReceived += other.missingReceived
        differences += other.differences
    }
}
