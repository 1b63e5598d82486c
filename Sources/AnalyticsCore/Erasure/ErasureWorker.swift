internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle

/// Carries out erasures step by step (docs/decisions/erasure.md).
///
/// Every processor may run a worker. One worker holds the lease of an erasure, and another can repeat every step.
public actor ErasureWorker: Service {
    public typealias Store = ErasureStore & EventStore & EventScanner & RollupStore & SegmentStore & ProjectStore

    public struct Settings: Sendable {
        /// Between two passes, ±25 %.
        public var interval: Duration = .seconds(2)
        /// Events per deletion.
        public var page = 500
        /// Between two deletions, so that inserts are not delayed.
        public var pause: Duration = .milliseconds(50)
        /// From the last deletion to the second pass. Longer than an answer or a replaced run may still be served, and than a write may be
        /// late.
        public var settling: Duration = .seconds(3_660)
        /// The pause after an overwrite, as a multiple of its duration. Other writers wait during an overwrite.
        public var overwritingPause = 20
        /// How long no other worker takes an erasure.
        public var lease: Duration = .seconds(120)

        public init() {}
    }

    /// The state of a project's erasures.
    private struct Known {
        /// ``ProjectRecord/erasures`` when it was read.
        var version: Int64
        /// When to continue; `nil` if all are done.
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
    private var overwriting = Overwriting()

    private struct Key: Hashable {
        var project: ProjectID
        var id: BytewiseString
    }

    /// The erasures that wait for the overwrite of deleted data. One overwrite serves all of them.
    private struct Overwriting {
        var waiting: Set<Key> = []
        /// Erasures that waited when the last successful overwrite of the queue began. `store`: the same for the store.
        var letters: Set<Key> = []
        var store: Set<Key> = []
        /// Earliest time of the next overwrite.
        var next: Timestamp?

        /// Records whether an erasure waits.
        mutating func note(_ key: Key, waits: Bool) {
            if waits { waiting.insert(key) } else { waiting.remove(key) }
            letters.formIntersection(waiting)
            store.formIntersection(waiting)
        }
    }

    private static let openCount = MetricCatalogue.metrics.erasuresOpen.make()

    /// - Parameter letters: The dead letters of the queue whose events are stored here.
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
                logger.warning("Erasure pass failed, retrying", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Works once on every project. Returns whether all erasures are done.
    @discardableResult
    func pass() async throws -> Bool {
        try await lookAtAll()
        if await overwrite() { try await lookAtAll() }
        let open = projects.values.reduce(0) { $0 + $1.open }
        Self.openCount.record(open)
        return open == 0
    }

    private func lookAtAll() async throws {
        for record in try await store.projectRecords() where record.erasures > 0 && !Task.isCancelled {
            let known = projects[record.project]
            if let known, known.version == record.erasures, known.due.map({ $0 > clock.now() }) ?? true { continue }
            projects[record.project] = nil
            projects[record.project] = try await look(at: record)
        }
    }

    /// Overwrites deleted data in the queue and the store if an erasure waits for it. Returns whether this is complete.
    private func overwrite() async -> Bool {
        guard !overwriting.waiting.isSubset(of: overwriting.store), overwriting.next.map({ clock.now() >= $0 }) ?? true else {
            return false
        }
        let (waiting, start) = (overwriting.waiting, clock.now())
        var isDone = false
        do {
            // The queue may postpone it until it holds fewer messages.
            if !waiting.isSubset(of: overwriting.letters) {
                try await letters.overwriteDeleted()
                overwriting.letters = waiting
            }
            try await store.overwriteDeleted()
            overwriting.store = waiting
            isDone = true
        } catch {
            if !Task.isCancelled { logger.warning("Deleted data not overwritten, retrying", metadata: ["error": "\(error)"]) }
        }
        let end = clock.now()
        let pause = (end - start) * settings.overwritingPause
        overwriting.next = end + (isDone ? pause : max(pause, ErasureJob.recheck))
        return isDone
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

    /// Returns when to continue; `nil` if it is done. A failing erasure does not delay the others.
    private func work(on stored: StoredErasure) async -> Timestamp? {
        let key = Key(project: stored.project, id: BytewiseString(stored.id))
        do {
            let erasure = try Erasure(stored)
            guard erasure.isOpen else {
                overwriting.note(key, waits: false)
                return nil
            }
            // A flush may move it back to `cleaning` before this returns, with more to overwrite.
            if erasure.state != .cleaning { overwriting.note(key, waits: false) }
            var job = ErasureJob(
                store: store, letters: letters, settings: settings, clock: clock, elapsed: elapsed, logger: logger, erasure: erasure,
                revision: stored.revision, owner: owner,
                isOverwritten: erasure.state == .cleaning && overwriting.letters.contains(key) && overwriting.store.contains(key))
            defer { overwriting.note(key, waits: job.erasure.state == .cleaning) }
            let next = try await job.work()
            return job.erasure.state == .cleaning ? max(next ?? .earliest, overwriting.next ?? .earliest) : next
        } catch {
            if !Task.isCancelled {
                logger.warning(
                    "Erasure failed, retrying", metadata: ["project": "\(stored.project)", "erasure": "\(stored.id)", "error": "\(error)"])
            }
            return clock.now() + ErasureJob.recheck
        }
    }
}

enum ErasureMetrics {
    static let deleted = MetricCatalogue.metrics.erasureDeletedEvents.make()

    /// Registers each metric at 0.
    static func prepare() { _ = deleted }
}
