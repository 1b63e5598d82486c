internal import CoreMetrics
internal import Logging

/// One erasure in the hands of one worker.
struct ErasureJob {
    let store: any ErasureWorker.Store
    let letters: any DeadLetterEraser
    let settings: ErasureWorker.Settings
    let clock: WallClock
    let elapsed: ElapsedClock
    let logger: Logger
    var erasure: Erasure
    /// Of the record as it was read or written last.
    var revision: Int64
    let owner: String
    /// Whether files were written anew since this one began to wait for it.
    var isOverwritten = false

    /// How long one deletion may take. A worker begins none that its lease does not cover with its adapter's own limit behind it.
    static let deletion: Duration = .seconds(30)
    /// What has to be left of the lease at the beginning of a step.
    static let least: Duration = .seconds(80)
    /// Until it is asked again whether what is waited for is there.
    static let recheck: Duration = .seconds(30)

    /// Does what can be done now. Returns when there is more to do; `nil` when it is over.
    mutating func work() async throws -> Timestamp? {
        do {
            guard try await take() else { return erasure.lease?.until }
            while erasure.isOpen {
                if let later = try await step() { return later }
                try Task.checkCancellation()
            }
            return nil
        } catch is LostErasure {
            // Another worker has it, or somebody has asked for it once more.
            return clock.now() + settings.interval
        }
    }

    /// Goes on to the next state. Returns when to come back, where that has to wait.
    private mutating func step() async throws -> Timestamp? {
        switch erasure.state {
        case .requested: try await identify()
        case .erasing:
            // Writers have to see the tombstone before anything is deleted.
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
            // For all that wait together: ``ErasureWorker``.
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
        // Of a flush that stores a link either the event is found here, or the flush sees the tombstone and hands the link over.
        try await store.announceErasure(of: erasure.project)
        let users = erasure.selection?.userIds ?? []
        let ids = try await ErasureIdentities(store: store).anonymousIds(of: users, and: erasure.links, in: erasure.project)
        var next = erasure
        next.identify(ids ?? [])
        guard ids != nil, next.identifiedCount <= ErasureIdentities.limit else {
            return try await fail("The users have more than \(ErasureIdentities.limit) anonymous ids. Name these, in several erasures.")
        }
        let others = try await Erasure.tombstones(store.erasures(of: erasure.project)).filter { $0.key != BytewiseString(erasure.id) }
        guard others.values.reduce(next.tombstone.size, { $0 + $1.size }) <= Erasures.byteLimit else {
            return try await fail(
                "With \(next.identifiedCount) anonymous ids the tombstones of the project would take more than \(Erasures.byteLimit >> 20) MiB, "
                    + "which each processor holds in memory.")
        }
        erasure = next
        if erasure.isOfLateLinks, erasure.selection?.anonymousIds.isEmpty ?? true {
            // They are somebody else's.
            guard erasure.hasRepairs else {
                erasure.forget()
                return try await move(to: .cleaning)
            }
            // Not passed by: it takes two passes, and what is to be looked for in them is not known any more.
            erasure.selection = nil
        }
        erasure.walk.restart()
        try await move(to: .erasing)
    }

    /// Nobody comes after this: what is deleted is marked before.
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

    /// After a pass that has found nothing. Returns when to come back where something is still to be waited for.
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

    /// Whether no run is left that was there when events were deleted.
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

    /// Sees to it that the lease covers what comes next.
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

/// The record is not as this worker has read it.
struct LostErasure: Error {}
