internal import CoreMetrics
internal import Logging

/// The work of one worker on one erasure.
struct ErasureJob {
    let store: any ErasureWorker.Store
    let letters: any DeadLetterEraser
    let settings: ErasureWorker.Settings
    let clock: WallClock
    let elapsed: ElapsedClock
    let logger: Logger
    var erasure: Erasure
    /// Revision of the record when it was last read or written.
    var revision: Int64
    let owner: String
    /// Whether deleted data was overwritten on disk after this erasure began to wait for it.
    var isOverwritten = false

    /// Deadline of one deletion. A deletion begins only if the lease covers it and the adapter's own limit.
    static let deletion: Duration = .seconds(30)
    /// The least remaining lease at the beginning of a step.
    static let least: Duration = .seconds(80)
    /// Interval between two checks of a condition that the erasure waits for.
    static let recheck: Duration = .seconds(30)

    /// Does the work that is possible now. Returns when to continue; `nil` if it is over.
    mutating func work() async throws -> Timestamp? {
        do {
            guard try await take() else { return erasure.lease?.until }
            while erasure.isOpen {
                if let later = try await step() { return later }
                try Task.checkCancellation()
            }
            return nil
        } catch is LostErasure {
            // Another worker has it, or it was requested again.
            return clock.now() + settings.interval
        }
    }

    /// Moves to the next state. Returns when to continue if it has to wait.
    private mutating func step() async throws -> Timestamp? {
        switch erasure.state {
        case .requested: try await identify()
        case .erasing:
            // Flushes must see the tombstone before anything is deleted.
            try await store.announceErasure(of: erasure.project)
            try await walk()
            try await settle()
        case .settling:
            let end = (erasure.erasedAt ?? clock.now()) + settings.settling
            guard clock.now() >= end else { return end }
            erasure.walk.restart()
            try await move(to: .verifying)
        case .verifying:
            try await walk()
            if erasure.walk.found > 0 {
                try await settle()
            } else {
                return try await finish()
            }
        case .cleaning:
            // Done for all waiting erasures together: ``ErasureWorker``.
            guard isOverwritten else { return clock.now() }
            erasure.doneAt = clock.now()
            erasure.days = []
            try await move(to: .done)
            logger.info(
                "Erasure done",
                metadata: ["project": "\(erasure.project)", "erasure": "\(erasure.id)", "events": "\(erasure.deletedEvents)"])
        case .done, .failed: break
        }
        return nil
    }

    // MARK: Steps

    private mutating func identify() async throws {
        // A flush that stores a link: either its event is found here, or the flush sees the tombstone and adds the link to the erasure.
        try await store.announceErasure(of: erasure.project)
        let users = erasure.selection?.userIds ?? []
        let ids = try await ErasureIdentities(store: store).anonymousIds(of: users, and: erasure.links, in: erasure.project)
        var next = erasure
        next.identify(ids ?? [])
        guard ids != nil, next.identifiedCount <= ErasureIdentities.limit else {
            return try await fail("The users have more than \(ErasureIdentities.limit) anonymous ids. Name these ids in several erasures.")
        }
        let others = try await Erasure.tombstones(store.erasures(of: erasure.project)).filter { $0.key != BytewiseString(erasure.id) }
        guard others.values.reduce(next.tombstone.size, { $0 + $1.size }) <= Erasures.byteLimit else {
            return try await fail(
                "With \(next.identifiedCount) anonymous ids the tombstones of the project would take more than \(Erasures.byteLimit >> 20) MiB, "
                    + "which each processor holds in memory.")
        }
        erasure = next
        if erasure.isOfLateLinks, erasure.selection?.anonymousIds.isEmpty ?? true {
            // The ids belong to other users.
            guard erasure.hasRepairs else {
                erasure.forget()
                return try await move(to: .cleaning)
            }
            // Repairs take two passes, and the selection is no longer known: every event is read.
            erasure.selection = nil
        }
        erasure.walk.restart()
        try await move(to: .erasing)
    }

    /// A failed erasure is not resumed, so deletions are marked first.
    private mutating func fail(_ failure: String) async throws {
        try await repair()
        (erasure.repairs, erasure.repaired) = ([], [])
        erasure.failure = failure
        erasure.forget()
        try await move(to: .failed)
    }

    private mutating func settle() async throws {
        erasure.erasedAt = clock.now()
        (erasure.repairs, erasure.repaired) = ([], erasure.repairs)
        try await move(to: .settling)
    }

    /// After a pass that found nothing. Returns when to continue if there is something to wait for.
    private mutating func finish() async throws -> Timestamp? {
        guard try await segmentsAreClean() else { return clock.now() + Self.recheck }
        let filter = ErasureFilter([erasure.tombstone])
        let found = try await letters.eraseDeadLetters { letter in
            (try? EnvelopeDecoder().decode(letter.original))?.events.contains { filter.covers($0) }
        }
        erasure.deletedDeadLetters += Int64(found.erased)
        erasure.unreadDeadLetters = Int64(found.unread)
        erasure.forget()
        try await move(to: .cleaning)
        return nil
    }

    /// Whether all runs from before the deletions are gone.
    private func segmentsAreClean() async throws -> Bool {
        guard let erasedAt = erasure.erasedAt, !erasure.days.isEmpty else { return true }
        for days in slices(erasure.days, length: 400) {
            for stored in try await store.segmentHeads(of: erasure.project, days: days) {
                guard let head = try? SegmentHead(day: stored.day, encoded: stored.bytes) else { return false }
                guard head.leftovers.allSatisfy({ $0.since > erasedAt }) else { return false }
            }
        }
        return true
    }

    // MARK: The record

    private mutating func take() async throws -> Bool {
        let now = clock.now()
        if let lease = erasure.lease, lease.owner != owner, lease.until > now { return false }
        try await write()
        return true
    }

    /// Extends the lease if it does not cover the next step.
    mutating func hold() async throws {
        if let lease = erasure.lease, lease.until - clock.now() >= Self.least { return }
        try await write()
    }

    mutating func write() async throws {
        erasure.lease = Erasure.Lease(owner: owner, until: clock.now() + settings.lease)
        let next = StoredErasure(project: erasure.project, id: erasure.id, revision: revision + 1, bytes: erasure.encoded)
        guard try await store.writeErasure(next, replacing: revision) else { throw LostErasure() }
        revision += 1
    }

    private mutating func move(to state: Erasure.State) async throws {
        erasure.state = state
        try await write()
    }
}

/// The record has changed since this worker read it.
struct LostErasure: Error {}
