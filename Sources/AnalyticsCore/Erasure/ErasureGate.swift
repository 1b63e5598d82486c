internal import Synchronization

/// Keeps a flush from storing erased events.
///
/// An erasure is announced before anything is deleted. A flush stores its events before it checks for erasures again. At least one of the
/// two sees the other, so no covered event is acknowledged and stays stored (docs/decisions/erasure.md).
final class ErasureGate: Sendable {
    typealias Store = ErasureStore & EventStore & RollupStore & SegmentStore & ProjectStore

    private typealias LateLink = (link: Erasure.LateLink, receivedAt: Timestamp)

    private struct Known {
        var version: Int64
        /// By erasure id.
        var tombstones: [BytewiseString: Tombstone]
        var filter: ErasureFilter
        /// Tombstones whose users' anonymous ids are still to be looked up.
        var requested: [Tombstone]
        /// Whether the store can no longer lose any of them in a failover.
        var isDurable = false
    }

    /// How long after a request a flush waits for its users' anonymous ids. A worker looks them up within seconds, unless it works on
    /// another erasure.
    static let identification: Duration = .seconds(60)

    private let store: any Store
    private let clock: WallClock
    private let known = Mutex<[ProjectID: Known]>([:])

    init(store: any Store, clock: WallClock) {
        self.store = store
        self.clock = clock
    }

    /// The indexes of the covered events. `records` are the newest.
    func covered(_ events: [StoredEvent], by records: ProjectRecords) async throws(StoreError) -> Set<Int> {
        var covered: Set<Int> = []
        for (project, places) in Dictionary(grouping: events.indices, by: { events[$0].event.project }) {
            guard let version = records[project]?.erasures, version > 0 else { continue }
            let own = places.map { events[$0].event }
            let known = try await reading(of: project, version)
            let found = known.filter.covered(own)
            guard !found.isEmpty else { continue }
            try await untilDurable(known, of: project)
            covered.formUnion(found.map { places[$0] })
        }
        return covered
    }

    /// To be called after the marks. Deletes covered events, whether this flush or an earlier attempt stored them, and sets their outcome
    /// to ``InsertOutcome/erased``. Adds links to erased users to the erasures.
    ///
    /// - Parameter records: Read after the marks.
    func confirm(
        _ events: [StoredEvent], _ outcomes: [InsertOutcome], by records: ProjectRecords
    ) async throws(StoreError) -> [InsertOutcome] {
        try await handOverLinks(of: events, outcomes, by: records)
        let covered = try await covered(events, by: records)
        guard !covered.isEmpty else { return outcomes }
        try await remove(covered.sorted().map { events[$0].event })
        var outcomes = outcomes
        for place in covered { outcomes[place] = .erased }
        return outcomes
    }

    /// To be called after ``confirm(_:_:by:)``. Deletes covered events whose ids later events need; without this the later events would be
    /// lost. Returns the indexes of the later events: insert them again. Throws while it is unknown whether an event is covered, for at
    /// most ``identification``.
    func freeIds(
        of events: [StoredEvent], _ outcomes: [InsertOutcome], by records: ProjectRecords
    ) async throws(StoreError) -> [Int] {
        var freed: [Int] = []
        for (project, places) in Dictionary(grouping: events.indices, by: { events[$0].event.project }) {
            guard let version = records[project]?.erasures, version > 0 else { continue }
            let known = try await reading(of: project, version)
            let (filter, now) = (known.filter, clock.now())
            let requested = known.requested.filter { now < $0.until + Self.identification }
            var holders: [(place: Int, event: Event)] = []
            for place in places {
                let event = events[place].event
                switch outcomes[place] {
                // The content is the same, so coverage is tested without a read. Only the time of receipt is unknown.
                case .duplicate(let heldAt):
                    let old = event.asOfOld(heldAt)
                    guard filter.covers(old) || requested.contains(where: { $0.mayCover(old) }) else { continue }
                case .conflict: break
                case .stored, .redelivered, .refused, .expired, .erased: continue
                }
                // Another process may have deleted it.
                if let holder = try await store.event(project: project, id: event.id)?.event {
                    if filter.covers(holder) {
                        holders.append((place, holder))
                    } else if requested.contains(where: { event.receivedAt > $0.until && $0.mayCover(holder) }) {
                        // The next attempt reads the erasures again, even if none is announced.
                        self.known.withLock { $0[project] = nil }
                        throw StoreError(.unavailable, operation: "erasures", "the anonymous ids of erased users are not yet known")
                    }
                } else {
                    freed.append(place)
                }
            }
            guard !holders.isEmpty else { continue }
            let noted = try await note(holders.map(\.event), of: project)
            try await remove(noted.map { holders[$0].event })
            freed += noted.map { holders[$0].place }
        }
        return freed
    }

    /// Records in the erasures the days of the events to delete: after a crash, other processes can mark them. Returns the indexes of the
    /// events that may be deleted; a failed erasure deletes nothing.
    private func note(_ holders: [Event], of project: ProjectID) async throws(StoreError) -> [Int] {
        var (noted, failed): (Set<Int>, Set<Int>) = ([], [])
        for stored in try await store.erasures(of: project) where noted.count < holders.count {
            var erasure = try Erasure(stored)
            let filter = ErasureFilter([erasure.tombstone])
            let own = holders.indices.filter { !noted.contains($0) && filter.covers(holders[$0]) }
            if erasure.state == .failed {
                failed.formUnion(own)
                continue
            }
            noted.formUnion(own)
            if erasure.note(Set(own.map { holders[$0].timestamp.day })) { try await announce(erasure, replacing: stored.revision) }
        }
        guard noted.union(failed).count == holders.count else { throw Self.notDurable }
        return noted.sorted()
    }

    private func announce(_ erasure: Erasure, replacing revision: Int64) async throws(StoreError) {
        guard try await store.announce(erasure, replacing: revision) else {
            throw StoreError(.unavailable, operation: "erasures", "the erasure \(erasure.id) has changed meanwhile")
        }
    }

    private func remove(_ events: [Event]) async throws(StoreError) {
        let removal = EventRemoval(store: store)
        _ = try await removal.remove(events)
        for (project, events) in Dictionary(grouping: events, by: \.project) {
            try await removal.discard(project, days: Set(events.map(\.timestamp.day)), at: clock.now())
        }
    }

    /// A link accepted before the erasure of its user decides which events are erased, even if it is stored later. The erasure is durable
    /// before the event is acknowledged.
    private func handOverLinks(
        of events: [StoredEvent], _ outcomes: [InsertOutcome], by records: ProjectRecords
    ) async throws(StoreError) {
        var links: [ProjectID: [LateLink]] = [:]
        for (event, outcome) in zip(events.lazy.map(\.event), outcomes) where outcome.joins {
            guard let version = records[event.project]?.erasures, version > 0, let link = Erasure.LateLink(event),
                event.timestamp.minute >= records.firstWholeMinute(of: event.project),
                try await reading(of: event.project, version).filter.lacks(link, receivedAt: event.receivedAt)
            else { continue }
            links[event.project, default: []].append((link, event.receivedAt))
        }
        for (project, own) in links { try await handOver(own, of: project) }
    }

    private func handOver(_ links: [LateLink], of project: ProjectID) async throws(StoreError) {
        var unnamed = Set(links.indices)
        for stored in try await store.erasures(of: project) {
            var erasure = try Erasure(stored)
            let own = links.indices.filter { erasure.tombstone.names(links[$0].link, receivedAt: links[$0].receivedAt) }
            unnamed.subtract(own)
            let unknown = own.map { links[$0].link }.filter { !erasure.tombstone.knows($0) }
            guard !unknown.isEmpty, erasure.state != .failed else { continue }
            let waiting = erasure.links
            erasure.add(unknown)
            if Set(erasure.links) == Set(waiting) {
                // The process that wrote them may have ended before it announced them.
                try await store.announceErasure(of: project)
                continue
            }
            // The links of one flush are always accepted, or it would wait for ever.
            guard waiting.isEmpty || erasure.links.count <= Erasure.lateLinks else {
                throw StoreError(.unavailable, operation: "erasures", "the erasure \(erasure.id) has \(waiting.count) pending links")
            }
            try await announce(erasure, replacing: stored.revision)
        }
        guard unnamed.isEmpty else { throw Self.notDurable }
    }

    private static let notDurable = StoreError(.unavailable, operation: "erasures", "an erasure is not durable yet")

    private func reading(of project: ProjectID, _ version: Int64) async throws(StoreError) -> Known {
        if let known = self.known.withLock({ $0[project] }), known.version == version { return known }
        // Read after the version, so at least as new.
        let erasures = try await store.newestErasures(of: project).map { (stored) throws(StoreError) in try Erasure(stored) }
        let tombstones = Dictionary(erasures.map { (BytewiseString($0.id), $0.tombstone) }) { first, _ in first }
        let requested = erasures.filter { $0.state == .requested && !$0.tombstone.users.isEmpty }.map(\.tombstone)
        let known = Known(
            version: version, tombstones: tombstones, filter: ErasureFilter(Array(tombstones.values)), requested: requested)
        self.known.withLock { $0[project] = known }
        return known
    }

    /// The newest records may still be rolled back, and an event dropped because of them would be lost. Throws until all tombstones that
    /// the caller used are durable. One read per version.
    private func untilDurable(_ before: Known, of project: ProjectID) async throws(StoreError) {
        if before.isDurable { return }
        let durable = try Erasure.tombstones(await store.erasures(of: project))
        let isDurable = before.tombstones.allSatisfy { id, tombstone in durable[id]?.covers(allOf: tombstone) ?? false }
        known.withLock { known in
            // Another flush may have read another state under the same version.
            guard let now = known[project], now.version == before.version, now.tombstones == before.tombstones else { return }
            // After a rollback the erasures are read again.
            if isDurable { known[project]?.isDurable = true } else { known[project] = nil }
        }
        guard isDurable else { throw Self.notDurable }
    }
}

extension Event {
    /// The same content with another timestamp, received at the earliest time.
    fileprivate func asOfOld(_ timestamp: Timestamp) -> Event {
        var event = self
        (event.timestamp, event.receivedAt) = (timestamp, .earliest)
        return event
    }
}

extension InsertOutcome {
    /// Whether a link event with this outcome is stored, or would be without the erasure.
    fileprivate var joins: Bool {
        switch self {
        case .stored, .redelivered, .duplicate, .erased: true
        case .conflict, .refused, .expired: false
        }
    }
}

extension Erasure {
    /// Throws if an erasure cannot be read: without it, covered events could be stored.
    static func tombstones(_ stored: [StoredErasure]) throws(StoreError) -> [BytewiseString: Tombstone] {
        var tombstones: [BytewiseString: Tombstone] = [:]
        for erasure in stored { tombstones[BytewiseString(erasure.id)] = try Erasure(erasure).tombstone }
        return tombstones
    }

    init(_ stored: StoredErasure) throws(StoreError) {
        do throws(GroupTable.Unreadable) {
            try self.init(project: stored.project, id: stored.id, encoded: stored.bytes)
        } catch {
            throw StoreError(.misconfigured, operation: "erasures", "the erasure \(stored.id) of '\(stored.project)' cannot be read")
        }
    }
}
