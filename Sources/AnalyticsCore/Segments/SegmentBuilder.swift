internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle

/// Builds the segments of days whose events have changed, and joins their runs.
///
/// Each processor may run a builder, without coordination: a head only replaces the one that was read, so one of two builders does
/// unneeded work but no harm. Its blobs are deleted.
public actor SegmentBuilder: Service {
    private let store: any RollupStore & ProjectStore & EventScanner & SegmentStore
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let chunkRows: Int
    private let logger: Logger
    private var planner = RollPlanner(longestInterval: SegmentBuilder.longestInterval)
    private var projects: [ProjectID: Known] = [:]
    /// Until this time, only days at rest are built.
    private var restsUntil: Duration = .zero

    /// The pause between two passes.
    private static let interval: Duration = .seconds(2)
    /// The longest interval between builds of a day that keeps changing.
    private static let longestInterval: Duration = .seconds(8)
    /// Work on days that keep changing is followed by a rest of this many times its duration.
    private static let rest = 4
    /// Time after which a pass over a project restarts.
    private static let passLength: Duration = .seconds(30)
    /// Maximum number of passes of ``finish()``.
    private static let finishingPasses = 100

    /// The state of a project's segments.
    private struct Known {
        /// The sum of all days' versions at the end of a pass that had nothing left to do.
        var generation: Int64?
        var fields: [RowField]
        var watermark: Timestamp?
        var days: [Int64: SegmentWork.Outcome] = [:]
    }

    public init(
        store: any RollupStore & ProjectStore & EventScanner & SegmentStore, clock: WallClock, elapsed: ElapsedClock = .system,
        logger: Logger
    ) {
        self.init(store: store, clock: clock, elapsed: elapsed, chunkRows: SegmentChunk.rowLimit, logger: logger)
    }

    init(
        store: any RollupStore & ProjectStore & EventScanner & SegmentStore, clock: WallClock, elapsed: ElapsedClock, chunkRows: Int,
        logger: Logger
    ) {
        self.store = store
        self.clock = clock
        self.elapsed = elapsed
        self.chunkRows = chunkRows
        self.logger = logger
        SegmentMetrics.prepare()
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var backoff = Backoff()
            while !Task.isCancelled {
                do {
                    try await self.pass()
                    backoff.reset()
                    try await self.elapsed.sleep(Self.interval)
                } catch {
                    // The store reports a cancelled operation like an outage.
                    if Task.isCancelled { return }
                    self.logger.warning("Building segments waits for the store", metadata: ["error": "\(error)"])
                    try? await self.elapsed.sleep(backoff.next())
                }
            }
        }
    }

    /// Builds until nothing is left, including days that keep changing. While the service works, some always do: then it ends after
    /// ``finishingPasses``.
    public func finish() async throws {
        for _ in 0..<Self.finishingPasses {
            try Task.checkCancellation()
            let isDone = try await pass(everything: true)
            if isDone { return }
        }
    }

    /// Makes one pass over all projects. Returns whether nothing is left to do.
    @discardableResult
    func pass(everything: Bool = false) async throws -> Bool {
        planner.beginPass()
        var isDone = true
        for project in try await store.projects() where !Task.isCancelled {
            isDone = try await pass(project, everything) && isDone
        }
        return isDone
    }

    private func pass(_ project: ProjectID, _ everything: Bool) async throws -> Bool {
        let record = try await store.newestRecords(of: [project]).first
        let fields = SegmentFields.all(of: record)
        var known = projects[project] ?? Known(fields: fields)
        if known.fields != fields || projects[project] == nil {
            known = Known(fields: fields)
            try await learn(&known, project)
        }
        defer { projects[project] = known }
        if let watermark = record?.watermark, watermark != known.watermark {
            let first = watermark.day
            if try await store.deleteSegments(of: project, before: first) > 0 { SegmentMetrics.deleted.increment() }
            known.days = known.days.filter { $0.key >= first }
            known.watermark = watermark
        }
        let generation = try await store.generation(project: project, days: RollupTier.day.allIndexes)
        let now = clock.now()
        let hasLeftovers = known.days.values.contains { $0.leftover.map { $0 <= now } ?? false }
        if generation == known.generation, !hasLeftovers { return true }
        let versions = try await store.versions(.day, project: project, in: [RollupTier.day.allIndexes])
        var isDone = true
        let passBegin = elapsed.now()
        // Newest first: most questions are about it.
        for (day, version) in versions.sorted(by: { $0.key > $1.key }) {
            if Timestamp(day: day + 1) <= known.watermark ?? .earliest { continue }
            let before = known.days[day] ?? SegmentWork.Outcome()
            let hasLeftovers = before.leftover.map { $0 <= now } ?? false
            if before.version == version, before.isJoined, !hasLeftovers { continue }
            try Task.checkCancellation()
            let bucket = BucketVersion(key: BucketKey(project: project, index: day), version: version, done: 0)
            let start = elapsed.now()
            let isQuiet = planner.isQuiet(bucket)
            guard everything || ((isQuiet || start >= restsUntil) && planner.isDue(bucket, now: start)) else {
                isDone = false
                continue
            }
            let work = SegmentWork(store: store, project: project, day: day, fields: fields, clock: clock, chunkRows: chunkRows)
            let outcome: SegmentWork.Outcome
            do {
                outcome = try await work.run(isAtRest: isQuiet || everything)
            } catch let error as StoreError where error.code == .refused || error.code == .misconfigured {
                // The error concerns this day only.
                logger.warning(
                    "A segment cannot be built",
                    metadata: ["project": "\(project)", "day": "\(Timestamp(day: day).rfc3339)", "error": "\(error)"])
                isDone = false
                continue
            }
            known.days[day] = outcome
            if outcome.version != version || !outcome.isJoined { isDone = false }
            let end = elapsed.now()
            if !isQuiet || outcome.hasJoined { restsUntil = end + (end - start) * Self.rest }
            // The newest days are checked again before the old ones continue.
            if !everything, end - passBegin > Self.passLength { return false }
        }
        known.generation = isDone ? generation : nil
        return isDone
    }

    /// Reads the stored heads.
    private func learn(_ known: inout Known, _ project: ProjectID) async throws {
        let days = try await store.versions(.day, project: project, in: [RollupTier.day.allIndexes]).keys.sorted()
        for slice in slices(coalesce(days), length: 400) {
            for stored in try await store.segmentHeads(of: project, days: slice) {
                guard let head = try? SegmentHead(day: stored.day, encoded: stored.bytes) else { continue }
                let isWhole = head.builds.allSatisfy { $0.fields == known.fields }
                known.days[stored.day] = SegmentWork.Outcome(
                    version: isWhole ? head.dayVersion : nil, isJoined: !head.wantsJoining(isAtRest: true), leftover: head.firstLeftover)
            }
        }
    }
}

/// The columns of a project's segments.
enum SegmentFields {
    /// The fields that enrichment adds, and those most used in questions.
    static let standard: [RowField] =
        [.type, .source, .sessionId]
        + [
            "page.host", "page.path", "page.utm.source", "page.utm.medium", "page.utm.campaign", "referrer.domain", "browser.name",
            "os.name", "device", "bot", "country",
        ].compactMap { RowField("context.\($0)") }

    static func all(of record: ProjectRecord?) -> [RowField] {
        standard + (record?.properties ?? []).map(RowField.property).filter { !standard.contains($0) }
    }
}

enum SegmentMetrics {
    static let built = MetricCatalogue.metrics.segmentRows.make()
    static let unreadable = MetricCatalogue.metrics.segmentUnreadable.make()
    static let deleted = MetricCatalogue.metrics.segmentsDeleted.make()

    /// Creates each metric, at 0.
    static func prepare() { _ = (built, unreadable, deleted) }
}
