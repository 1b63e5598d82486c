internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle

/// Counts marked minutes from their events, sums marked hours from their minutes, and marked days from their hours, by compare-and-set.
///
/// Each processor may run a roller, without coordination: a count only replaces an older one, so a slow roller, a late write or a
/// crash cannot store a wrong count, and missed buckets stay marked.
public actor Roller: Service {
    private let store: any RollupStore & ProjectStore
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger
    private var planners: [RollupTier: RollPlanner] = [:]
    /// The end of the last complete pass.
    private var lastPass: Duration

    /// The pause between two passes over the marked buckets.
    private static let interval: Duration = .milliseconds(500)
    private static let pageSize = 5_000
    /// Maximum number of minutes per query; fewer after a query that reached ``MinuteTables/byteLimit``.
    private static let minutesAtATime: Int64 = 600
    /// Bytes of sums per write.
    private static let bytesAtATime = 4 << 20
    /// Concurrent counts and writes.
    private static let maxConcurrency = 3
    /// Maximum number of minutes between two marked ones that are counted with them: another range costs more than a few minutes.
    private static let gap: Int64 = 30
    /// Maximum number of passes of ``finish()``.
    private static let finishingPasses = 100

    private static let expired = MetricCatalogue.metrics.rollupExpired.make()

    public init(
        store: any RollupStore & ProjectStore, clock: WallClock, elapsed: ElapsedClock = .system, logger: Logger
    ) {
        self.store = store
        self.clock = clock
        self.elapsed = elapsed
        lastPass = elapsed.now()
        self.logger = logger
        _ = Self.expired
    }

    public func run() async throws {
        let lag = MetricCatalogue.metrics.rollupLag.make()
        await cancelWhenGracefulShutdown {
            var backoff = Backoff()
            while !Task.isCancelled {
                do {
                    try await self.pass()
                    backoff.reset()
                    lag.record(await self.lag.seconds)
                    try await self.elapsed.sleep(Self.interval)
                } catch {
                    // The store reports a cancelled operation like an outage.
                    if Task.isCancelled { return }
                    lag.record(await self.lag.seconds)
                    self.logger.warning("Rolling waits for the store", metadata: ["error": "\(error)"])
                    try? await self.elapsed.sleep(backoff.next())
                }
            }
        }
    }

    /// The longest wait of a marked bucket, or the time since the last complete pass, if longer.
    private var lag: Duration {
        max(planners.values.map { $0.longestWait(now: elapsed.now()) }.max() ?? .zero, elapsed.now() - lastPass)
    }

    /// Rolls until nothing is marked, including hot buckets. While the service works, there are always marks: then it ends after
    /// ``finishingPasses``, which have rolled everything marked at the start. Throws a `CancellationError` when cancelled.
    public func finish() async throws {
        for _ in 0..<Self.finishingPasses {
            try Task.checkCancellation()
            planners = [:]
            let hasFound = try await pass()
            if !hasFound { return }
        }
    }

    /// Makes one pass over all marked buckets. Returns whether there were any.
    @discardableResult
    func pass() async throws -> Bool {
        for tier in RollupTier.allCases { planners[tier, default: RollPlanner()].beginPass() }
        // Buckets that have to wait, since a finer bucket stays marked.
        var waiting: Set<BucketKey> = []
        var found: [RollupTier: Int] = [:]
        found[.minute] = try await eachPage(.minute) { page in
            let due = page.filter { isDue(.minute, $0) }
            let dueKeys = Set(due.map(\.key))
            for bucket in page where !dueKeys.contains(bucket.key) { waiting.insert(bucket.key.hour) }
            try await rollMinutes(due, around: Set(page.map(\.key)).subtracting(dueKeys))
        }
        for tier in [RollupTier.hour, .day] {
            var waitingNext: Set<BucketKey> = []
            found[tier] = try await eachPage(tier) { page in
                let due = page.filter { !waiting.contains($0.key) && isDue(tier, $0) }
                let dueKeys = Set(due.map(\.key))
                for bucket in page where !dueKeys.contains(bucket.key) { waitingNext.insert(bucket.key.dayOfHour) }
                try await rollSums(tier, due)
            }
            waiting = waitingNext
        }
        lastPass = elapsed.now()
        for (tier, count) in found { Self.marked(tier).record(count) }
        return found.values.contains { $0 > 0 }
    }

    private func isDue(_ tier: RollupTier, _ bucket: BucketVersion) -> Bool {
        planners[tier, default: RollPlanner()].isDue(bucket, now: elapsed.now())
    }

    private static func marked(_ tier: RollupTier) -> Gauge {
        MetricCatalogue.metrics.rollupDirtyBuckets.make(tier.rawValue)
    }

    private func eachPage(
        _ tier: RollupTier, _ body: ([BucketVersion]) async throws -> Void
    ) async throws -> Int {
        var count = 0
        var last: BucketKey?
        while !Task.isCancelled {
            let page = try await store.dirtyBuckets(tier, after: last, limit: Self.pageSize)
            guard let end = page.last else { break }
            try await body(page)
            count += page.count
            last = end.key
            if page.count < Self.pageSize { break }
        }
        return count
    }

    // MARK: Minutes

    /// Marked minutes of one query.
    private struct Slice {
        var project: ProjectID
        var ranges: [Range<Int64>]
        var buckets: ArraySlice<BucketVersion>
    }

    /// `hot`: marked minutes that are not due; they are not counted in gaps either.
    private func rollMinutes(_ buckets: [BucketVersion], around hot: Set<BucketKey>) async throws {
        let countable = try await withoutExpired(buckets)
        var parts: [Slice] = []
        for (project, own) in Self.byProject(countable) {
            var start = 0
            let spans = coalesce(own.map(\.key.index), acrossGapsOf: Self.gap) { !hot.contains(BucketKey(project: project, index: $0)) }
            for ranges in slices(spans, length: Self.minutesAtATime) {
                let end = own[start...].firstIndex { $0.key.index >= ranges[ranges.count - 1].upperBound } ?? own.endIndex
                parts.append(Slice(project: project, ranges: ranges, buckets: own[start..<end]))
                start = end
            }
        }
        try await Self.each(parts) { part in try await self.roll(part) }
    }

    private func roll(_ slice: Slice) async throws {
        var (ranges, buckets) = (slice.ranges, slice.buckets)
        var length = Self.minutesAtATime
        while let piece = slices(ranges, length: length).first {
            let end = piece[piece.count - 1].upperBound
            let wanted = Set(buckets.lazy.map(\.key.index).prefix { $0 < end })
            let counted = try await store.countMinutes(of: slice.project, in: piece, wanted: wanted, isByReceipt: true)
            let next = counted.next ?? end
            // Read after the events: anything deleted before the count lies below this watermark.
            let records = ProjectRecords(try await store.newestRecords(of: [slice.project]))
            let first = records.firstWholeMinute(of: slice.project)
            let now = clock.now()
            // Every other marked minute is written, also without events.
            let rolled = buckets.prefix { $0.key.index < next }.filter { $0.key.index >= first }.map {
                RolledBucket(
                    key: $0.key, version: $0.version, table: counted.tables[$0.key.index] ?? .empty,
                    received: counted.received(in: $0.key.index), events: counted.events[$0.key.index] ?? 0, at: now)
            }
            try await write(.minute, rolled)
            ranges = ranges.from(next)
            buckets = buckets.drop { $0.key.index < next }
            length = counted.next == nil ? min(length * 2, Self.minutesAtATime) : max(1, next - piece[0].lowerBound)
        }
    }

    /// The buckets of each project, in the same order.
    private static func byProject(_ buckets: [BucketVersion]) -> [(project: ProjectID, buckets: [BucketVersion])] {
        Dictionary(grouping: buckets, by: \.key.project).map { ($0, $1) }
    }

    /// Runs `body` for each element, ``maxConcurrency`` at a time, to leave the store capacity for other work, above all its journal.
    private static func each<Element: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, element) in elements.enumerated() {
                if index >= maxConcurrency { try await group.next() }
                group.addTask { try await body(element) }
            }
            try await group.waitForAll()
        }
    }

    /// Unmarks the minutes below the watermark without a count, and returns the others. Events below the watermark may be deleted;
    /// counting the remaining ones would replace the correct count.
    private func withoutExpired(_ buckets: [BucketVersion]) async throws -> [BucketVersion] {
        guard !buckets.isEmpty else { return [] }
        let records = ProjectRecords(try await store.projectRecords())
        let expired = buckets.filter { $0.key.index < records.firstWholeMinute(of: $0.key.project) }
        guard let first = expired.first else { return buckets }
        try await store.unmark(.minute, expired)
        Self.expired.increment(by: expired.count)
        let start = Timestamp(minute: first.key.index).rfc3339
        logger.warning(
            "Marked minutes below the watermark keep their counts",
            metadata: ["count": "\(expired.count)", "project": "\(first.key.project)", "first": "\(start)"])
        return buckets.filter { $0.key.index >= records.firstWholeMinute(of: $0.key.project) }
    }

    // MARK: Hours and days

    private func rollSums(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws {
        for (project, own) in Self.byProject(buckets) {
            let parts = stride(from: 0, to: own.count, by: 100).map { own[$0..<min($0 + 100, own.count)] }
            try await Self.each(parts) { part in try await self.rollSums(tier, part, of: project) }
        }
    }

    private nonisolated func rollSums(_ tier: RollupTier, _ buckets: ArraySlice<BucketVersion>, of project: ProjectID) async throws {
        var pending = Dictionary(uniqueKeysWithValues: buckets.map { ($0.key.index, $0) })
        var rolled: [RolledBucket] = []
        var bytes = 0
        try await BucketSums.each(tier, of: project, in: coalesce(buckets.map(\.key.index)), from: store) { index, sum in
            guard let bucket = pending.removeValue(forKey: index), case .table(let table, let received) = sum else { return }
            rolled.append(RolledBucket(key: bucket.key, version: bucket.version, table: table, received: received))
            bytes += table.size
            guard bytes >= Self.bytesAtATime else { return }
            try await write(tier, rolled)
            (rolled, bytes) = ([], 0)
        }
        // Buckets without finer buckets.
        rolled += pending.values.map { RolledBucket(key: $0.key, version: $0.version, table: .empty, received: .empty) }
        try await write(tier, rolled)
    }

    private nonisolated func write(_ tier: RollupTier, _ rolled: [RolledBucket]) async throws {
        guard !rolled.isEmpty else { return }
        let applied = try await store.roll(tier, rolled)
        MetricCatalogue.metrics.rollupRolled.make(tier.rawValue).increment(by: applied)
    }
}

extension BucketKey {
    /// The hour of a minute.
    var hour: BucketKey { BucketKey(project: project, index: floorDivide(index, by: RollupTier.hour.parts)) }

    /// The day of an hour.
    var dayOfHour: BucketKey { BucketKey(project: project, index: floorDivide(index, by: RollupTier.day.parts)) }
}
