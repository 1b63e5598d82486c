internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle

/// Closes time, raises watermarks and deletes what lies below them, project by project.
///
/// Each sweep cuts what an earlier one closed: the time between gives flushes that are under way the chance to be counted. As many
/// sweepers as there are processors may run at once, because both moments only rise.
public struct RetentionSweeper: Service {
    public struct Settings: Sendable {
        /// Between two sweeps.
        public var interval: Duration = .seconds(300)
        /// Between two sweeps where something is due soon: a new retention, or time that is closed and not cut.
        public var shortInterval: Duration = .seconds(5)
        /// Events deleted at a time.
        public var step = 5_000
        /// Between two deletions, so that inserts are not held up.
        public var pause: Duration = .milliseconds(50)

        public init() {}
    }

    private let store: any Store
    private let firstRetentionDays: Int
    private let settings: Settings
    private let clock: WallClock
    private let logger: Logger

    private static let deleted = Counter(label: "analytics_retention_deleted_events_total")

    /// `firstRetentionDays`: what a project without a retention gets.
    public init(store: any Store, firstRetentionDays: Int, settings: Settings = Settings(), clock: WallClock, logger: Logger) {
        self.store = store
        self.firstRetentionDays = firstRetentionDays
        self.settings = settings
        self.clock = clock
        self.logger = logger
        _ = Self.deleted
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                var isSoon = true
                do throws(StoreError) {
                    isSoon = try await sweep()
                } catch {
                    logger.warning("Retention sweep failed, retrying", metadata: ["error": "\(error)"])
                }
                let interval = isSoon ? settings.shortInterval : settings.interval
                try? await Task.sleep(for: interval * Double.random(in: 0.75...1.25))
            }
        }
    }

    /// Goes once over all projects. Returns whether the next sweep has something to do soon.
    func sweep() async throws(StoreError) -> Bool {
        let records = ProjectRecords(try await store.projectRecords())
        var isSoon = false
        for project in try await store.projects() where !Task.isCancelled {
            guard let record = records[project], record.retentionDays != nil else {
                try await store.createRecord(of: project, retentionDays: firstRetentionDays, at: clock.now())
                isSoon = true
                continue
            }
            if try await sweep(record) { isSoon = true }
        }
        return isSoon
    }

    private func sweep(_ record: ProjectRecord) async throws(StoreError) -> Bool {
        var record = record
        if record.closedBefore != record.watermark {
            let oldestMarked = try await oldestMarkedMinute(of: record.project)
            if let watermark = RetentionPlan.raise(record, oldestMarked: oldestMarked) {
                try await store.raiseWatermark(of: record.project, to: watermark)
                record.watermark = watermark
                logger.info("Watermark raised", metadata: ["project": "\(record.project)", "watermark": "\(watermark.rfc3339)"])
            }
        }
        if record.watermark != nil { try await deleteExpired(of: record.project) }

        let now = clock.now()
        if let target = RetentionPlan.close(record, at: now) {
            guard !RetentionPlan.isTooNew(record, at: now) else { return true }
            try await store.close(record.project, before: target)
            record.closedBefore = target
        }
        return record.closedBefore != record.watermark
    }

    private func oldestMarkedMinute(of project: String) async throws(StoreError) -> Int64? {
        let first = try await store.dirtyBuckets(.minute, after: BucketKey(project: project, index: .min), limit: 1).first
        return first.flatMap { ExactText($0.key.project) == ExactText(project) ? $0.key.index : nil }
    }

    private func deleteExpired(of project: String) async throws(StoreError) {
        var total = 0
        while !Task.isCancelled {
            let count = try await store.deleteExpiredEvents(of: project, limit: settings.step)
            guard count > 0 else { break }
            total += count
            Self.deleted.increment(by: count)
            try? await Task.sleep(for: settings.pause)
        }
        if total > 0 { logger.info("Expired events deleted", metadata: ["project": "\(project)", "count": "\(total)"]) }
    }
}
