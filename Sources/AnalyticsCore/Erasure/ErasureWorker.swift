internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle

/// Carries erasures out, step by step (docs/decisions/erasure.md).
///
/// As many workers as there are processors may run: one holds the lease of an erasure, and every step can be repeated by another.
public actor ErasureWorker: Service {
    public typealias Store = ErasureStore & EventStore & EventScanner & RollupStore & SegmentStore & ProjectStore

    public struct Settings: Sendable {
        /// Between two looks at what is to be done, ±25 %.
        public var interval: Duration = .seconds(2)
        /// Events that are deleted at a time.
        public var page = 500
        /// Between two deletions, so that inserts are not held up.
        public var pause: Duration = .milliseconds(50)
        /// From the last deletion to the second pass: longer than an answer or a replaced run may be shown, and than a write may be late.
        public var settling: Duration = .seconds(3_660)
        /// How long nobody else takes an erasure.
        public var lease: Duration = .seconds(120)

        public init() {}
    }

    /// What is known of a project.
    private struct Known {
        /// ``ProjectRecord/erasures`` when it was read.
        var version: Int64
        /// When there is something to do; `nil` when everything is done.
        var due: Timestamp?
        var open: Int
    }

    private let store: any Store
    private let letters: any DeadLetterEraser
    private let settings: Settings
    private let owner: String
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger
    private var projects: [ProjectID: Known] = [:]

    private static let openCount = MetricCatalogue.metrics.erasuresOpen.make()

    /// - Parameter letters: Of the queue whose events are stored here.
    public init(
        store: any Store, letters: any DeadLetterEraser, settings: Settings = Settings(), clock: WallClock,
        elapsed: ElapsedClock = .system, makeID: IDGenerator, logger: Logger
    ) {
        self.store = store
        self.letters = letters
        self.settings = settings
        owner = makeID.next()
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
        ErasureMetrics.prepare()
    }

    public func run() async throws {
        await elapsed.repeating(every: settings.interval) { [self] in
            do {
                try await pass()
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning("Erasing failed, retrying", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Goes once over all projects. Returns whether nothing is left to do.
    @discardableResult
    func pass() async throws -> Bool {
        for record in try await store.projectRecords() where record.erasures > 0 && !Task.isCancelled {
            let known = projects[record.project]
            if let known, known.version == record.erasures, known.due.map({ $0 > clock.now() }) ?? true { continue }
            projects[record.project] = nil
            projects[record.project] = try await look(at: record)
        }
        let open = projects.values.reduce(0) { $0 + $1.open }
        Self.openCount.record(open)
        return open == 0
    }

    private func look(at record: ProjectRecord) async throws -> Known {
        var known = Known(version: record.erasures, due: nil, open: 0)
        for stored in try await store.erasures(of: record.project) {
            guard let next = await work(on: stored) else { continue }
            known.open += 1
            known.due = min(known.due ?? next, next)
        }
        return known
    }

    /// Returns when there is more to do; `nil` when it is done. One that fails keeps no other one waiting.
    private func work(on stored: StoredErasure) async -> Timestamp? {
        do {
            let erasure = try Erasure(stored)
            guard erasure.isOpen else { return nil }
            var job = ErasureJob(
                store: store, letters: letters, settings: settings, clock: clock, elapsed: elapsed, logger: logger, erasure: erasure,
                revision: stored.revision, owner: owner)
            return try await job.work()
        } catch {
            if !Task.isCancelled {
                logger.warning(
                    "An erasure waits", metadata: ["project": "\(stored.project)", "erasure": "\(stored.id)", "error": "\(error)"])
            }
            return clock.now() + ErasureJob.recheck
        }
    }
}

enum ErasureMetrics {
    static let deleted = MetricCatalogue.metrics.erasureDeletedEvents.make()

    /// Makes each exist, at 0.
    static func prepare() { _ = deleted }
}
