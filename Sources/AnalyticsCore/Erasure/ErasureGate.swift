internal import Synchronization

/// Keeps a flush from storing what was erased.
///
/// An erasure is announced before anything is deleted; a flush stores its events before it looks again. One of the two sees the other, so
/// nothing that is covered is acknowledged and stays (docs/decisions/erasure.md).
final class ErasureGate: Sendable {
    typealias Store = ErasureStore & EventStore & RollupStore & SegmentStore & ProjectStore

    private typealias LateLink = (link: Erasure.LateLink, receivedAt: Timestamp)

    private struct Known {
        var version: Int64
        /// By the erasures' ids.
        var tombstones: [BytewiseString: Tombstone]
        var filter: ErasureFilter
        /// Of users whose anonymous ids are still to be looked up.
        var requested: [Tombstone]
        /// Whether none of it can be undone any more.
        var isDurable = false
    }

    /// How long after a request a flush waits for its users' anonymous ids: a worker looks them up within seconds, unless it is at another one.
    static let identification: Duration = .seconds(60)

    private let store: any Store
    private let clock: WallClock
    private let known = Mutex<[ProjectID: Known]>([:])

    init(store: any Store, clock: WallClock) {
        self.store = store
        self.clock = clock
    }

    /// The places of those that are covered. `records` are the newest.
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

    /// To be called after the marks: deletes what is covered, whether this flush has stored it or an earlier attempt, and makes
    /// ``InsertOutcome/erased`` of it. Hands links to erased users over to the erasures.
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

    /// To be called after ``confirm(_:_:by:)``: deletes covered events that hold the ids of others, which came later and would be lost with
    /// them. Returns the places of these: they are to be inserted once more. Throws while it is not known whether one is covered, for
    /// ``identification`` at the most.
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
                // The same content: whether it is covered can be told without reading it, but for its receipt.
                case .duplicate(let heldAt):
                    let old = event.asOfOld(heldAt)
                    guard filter.covers(old) || requested.contains(where: { $0.mayCover(old) }) else { continue }
                case .conflict: break
                case .stored, .redelivered, .refused, .expired, .erased: continue
                }
                // Somebody else may have deleted it.
                if let holder = try await store.event(project: project, id: event.id)?.event {
                    if filter.covers(holder) {
                        holders.append((place, holder))
                    } else if requested.contains(where: { event.receivedAt > $0.until && $0.mayCover(holder) }) {
                        // Read anew at the next try, whether or not something is announced.
                        self.known.withLock { $0[project] = nil }
                        throw StoreError(.unavailable, operation: "erasures", "the anonymous ids of an erasure's users are looked up")
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

    /// Writes down in the erasures from which days events are deleted: whoever comes after this process would not know that they are to be marked.
    /// Returns the places of those that may be deleted: an erasure that has failed deletes nothing.
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

    /// A link that was accepted before an erasure of its user says whose events are to be erased, also where it comes now. Durable before the
    /// event is acknowledged.
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
                // Who has written them may have ended before anybody was told.
                try await store.announceErasure(of: project)
                continue
            }
            // Those of one flush are never too many, or it would wait for ever.
            guard waiting.isEmpty || erasure.links.count <= Erasure.lateLinks else {
                throw StoreError(.unavailable, operation: "erasures", "\(waiting.count) identities wait for the erasure \(erasure.id)")
            }
            try await announce(erasure, replacing: stored.revision)
        }
        guard unnamed.isEmpty else { throw Self.notDurable }
    }

    private static let notDurable = StoreError(.unavailable, operation: "erasures", "an erasure is not durable yet")

    private func reading(of project: ProjectID, _ version: Int64) async throws(StoreError) -> Known {
        if let known = self.known.withLock({ $0[project] }), known.version == version { return known }
        // Read after the version, and so at least as new.
        let erasures = try await store.newestErasures(of: project).map { (stored) throws(StoreError) in try Erasure(stored) }
        let tombstones = Dictionary(erasures.map { (BytewiseString($0.id), $0.tombstone) }) { first, _ in first }
        let requested = erasures.filter { $0.state == .requested && !$0.tombstone.users.isEmpty }.map(\.tombstone)
        let known = Known(
            version: version, tombstones: tombstones, filter: ErasureFilter(Array(tombstones.values)), requested: requested)
        self.known.withLock { $0[project] = known }
        return known
    }

    /// What is newest may still be undone, and an event that is dropped by it would be lost. Throws until all that the caller has gone by is
    /// durable; asked once for each version.
    private func untilDurable(_ before: Known, of project: ProjectID) async throws(StoreError) {
        if before.isDurable { return }
        let durable = try Erasure.tombstones(await store.erasures(of: project))
        let isDurable = before.tombstones.allSatisfy { id, tombstone in durable[id]?.covers(allOf: tombstone) ?? false }
        known.withLock { known in
            // Another flush may have read another state under the same version.
            guard let now = known[project], now.version == before.version, now.tombstones == before.tombstones else { return }
            // What was undone is not to be waited for.
            if isDurable { known[project]?.isDurable = true } else { known[project] = nil }
        }
        guard isDurable else { throw Self.notDurable }
    }
}

extension Event {
    /// With the same content, received at any time, and at that time of its own.
    fileprivate func asOfOld(_ timestamp: Timestamp) -> Event {
        var event = self
        (event.timestamp, event.receivedAt) = (timestamp, .earliest)
        return event
    }
}

extension InsertOutcome {
    /// Whether an event that says who is who is, or would be, among those that are read.
    fileprivate var joins: Bool {
        switch self {
        case .stored, .redelivered, .duplicate, .erased: true
        case .conflict, .refused, .expired: false
        }
    }
}

extension Erasure {
    /// Throws where one cannot be read: nobody then knows what is not to be stored.
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
