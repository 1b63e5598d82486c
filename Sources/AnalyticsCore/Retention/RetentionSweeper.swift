internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle
internal import Synchronization

/// Closes time, raises watermarks and deletes events below them, per project.
///
/// Each sweep raises the watermark to the time that an earlier one closed, so that in-flight flushes can be counted in between. Every
/// processor may run a sweeper, as both times only rise.
public struct RetentionSweeper: Service {
    public struct Settings: Sendable {
        /// Between two sweeps, ±25 %.
        public var interval: Duration = .seconds(10)
        /// Events per deletion.
        public var step = 5_000
        /// Between two deletions, or counts by receipt, so that inserts are not delayed.
        public var pause: Duration = .milliseconds(50)
        /// The order of the days whose tables of receipt are filled.
        var order: @Sendable ([Int64]) -> [Int64] = { $0.shuffled() }

        public init() {}
    }

    private let store: any RollupStore & ProjectStore
    private let firstRetentionDays: Int
    private let settings: Settings
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let rounds: ReceivedFillRounds

    private static let deleted = MetricCatalogue.metrics.retentionDeletedEvents.make()

    /// `firstRetentionDays`: the retention of a project without one.
    public init(
        store: any RollupStore & ProjectStore, firstRetentionDays: Int, settings: Settings = Settings(), clock: WallClock,
        elapsed: ElapsedClock = .system, logger: Logger
    ) {
        self.store = store
        self.firstRetentionDays = firstRetentionDays
        self.settings = settings
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
        let fill = ReceivedFill(store: store, pause: settings.pause, elapsed: elapsed)
        rounds = ReceivedFillRounds(fill, clock: clock, order: settings.order)
        _ = Self.deleted
    }

    public func run() async throws {
        let hasAdopted = Mutex(false)
        await elapsed.repeating(every: settings.interval) {
            do {
                if !hasAdopted.withLock({ $0 }) { try await adopt() }
                hasAdopted.withLock { $0 = true }
                try await sweep()
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning("Retention sweep failed, retrying", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Once per process, writes the first retention of projects that an earlier version left without one. A new project gets it with its
    /// first flush.
    func adopt() async throws(StoreError) {
        let records = ProjectRecords(try await store.projectRecords())
        for project in try await store.projects() where records[project]?.retentionDays == nil {
            try await store.createRecord(of: project, retentionDays: firstRetentionDays, at: clock.now())
        }
    }

    /// One pass over all projects.
    func sweep() async throws(StoreError) {
        for record in try await store.projectRecords() where !Task.isCancelled { try await sweep(record) }
        let report = await rounds.takeReport()
        if report.minutes > 0 {
            logger.info("Minutes of an earlier version counted by receipt", metadata: ["count": "\(report.minutes)"])
        }
        if let failure = report.failure {
            logger.warning(
                "Counting by receipt failed, retrying",
                metadata: ["project": "\(failure.project)", "error": "\(failure.error)", "failures": "\(report.failures)"])
        }
    }

    private func sweep(_ record: ProjectRecord) async throws(StoreError) {
        var watermark = record.watermark
        if record.closedBefore != watermark {
            let oldestMarked = try await oldestMarkedMinute(of: record.project)
            // Once events are deleted, it is not known when they were received.
            if let target = RetentionPlan.raise(record, oldestMarked: oldestMarked),
                let reached = await rounds.fillBelow(target, of: record.project, from: watermark)
            {
                try await store.raiseWatermark(of: record.project, to: reached)
                watermark = reached
                logger.info("Watermark raised", metadata: ["project": "\(record.project)", "watermark": "\(reached.rfc3339)"])
            }
        }
        if watermark != nil { try await deleteExpired(of: record.project) }
        let now = clock.now()
        if let target = RetentionPlan.close(record, at: now), !RetentionPlan.isTooNew(record, at: now) {
            try await store.close(record.project, before: target)
        }
        await rounds.fillRest(of: record.project)
    }

    private func oldestMarkedMinute(of project: ProjectID) async throws(StoreError) -> Int64? {
        let first = try await store.dirtyBuckets(.minute, after: BucketKey(project: project, index: .min), limit: 1).first
        return first.flatMap { $0.key.project == project ? $0.key.index : nil }
    }

    private func deleteExpired(of project: ProjectID) async throws(StoreError) {
        var total = 0
        while !Task.isCancelled {
            let count = try await store.deleteExpiredEvents(of: project, limit: settings.step)
            guard count > 0 else { break }
            total += count
            Self.deleted.increment(by: count)
            try? await elapsed.sleep(settings.pause)
        }
        if total > 0 { logger.info("Expired events deleted", metadata: ["project": "\(project)", "count": "\(total)"]) }
    }
}
