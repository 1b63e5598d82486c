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
        /// Of the time that writing files anew takes, how often it has to pass before that is done again: other writers wait for it.
        public var overwritingPause = 20
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
    private var overwriting = Overwriting()

    private struct Key: Hashable {
        var project: ProjectID
        var id: BytewiseString
    }

    /// Which erasures wait for files to be written anew: that is done for all of them at once.
    private struct Overwriting {
        var waiting: Set<Key> = []
        /// Those that waited when it was begun, and it has succeeded.
        var letters: Set<Key> = []
        var store: Set<Key> = []
        /// Not before.
        var next: Timestamp?

        /// Says whether it waits.
        mutating func note(_ key: Key, waits: Bool) {
            if waits { waiting.insert(key) } else { waiting.remove(key) }
            letters.formIntersection(waiting)
            store.formIntersection(waiting)
        }
    }

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

    /// Has the queue and the store overwrite what was deleted, if an erasure waits for it. Returns whether it has come to an end.
    private func overwrite() async -> Bool {
        guard !overwriting.waiting.isSubset(of: overwriting.store), overwriting.next.map({ clock.now() >= $0 }) ?? true else {
            return false
        }
        let (waiting, start) = (overwriting.waiting, clock.now())
        var isDone = false
        do {
            // The queue's may have to wait until there is less in it.
            if !waiting.isSubset(of: overwriting.letters) {
                try await letters.overwriteDeleted()
                overwriting.letters = waiting
            }
            try await store.overwriteDeleted()
            overwriting.store = waiting
            isDone = true
        } catch {
            if !Task.isCancelled { logger.warning("What was deleted is not overwritten yet", metadata: ["error": "\(error)"]) }
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

    /// Returns when there is more to do; `nil` when it is done. One that fails keeps no other one waiting.
    private func work(on stored: StoredErasure) async -> Timestamp? {
        let key = Key(project: stored.project, id: BytewiseString(stored.id))
        do {
            let erasure = try Erasure(stored)
            guard erasure.isOpen else {
                overwriting.note(key, waits: false)
                return nil
            }
            // It may be `cleaning` again before this returns, with more that is to be overwritten.
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
