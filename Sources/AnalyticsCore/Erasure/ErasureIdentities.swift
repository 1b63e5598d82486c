/// Finds the anonymous ids of users by their `$identify` events.
struct ErasureIdentities: Sendable {
    let store: any EventScanner & ProjectStore

    /// Maximum number of anonymous ids per erasure.
    static let limit = 100_000

    /// `nil` if there are too many. The definition is that of questions: ``IdentityMap``.
    ///
    /// - Parameter late: Links to the users that are not stored, treated as if they were.
    func anonymousIds(
        of users: [String], and late: [Erasure.LateLink], in project: ProjectID
    ) async throws(StoreError) -> [String]? {
        guard !users.isEmpty || !late.isEmpty else { return [] }
        let first = try await store.newestRecords(of: [project]).first?.firstWholeMinute ?? .min
        let range = Timestamp(minute: max(first, Timestamp.earliest.minute))..<Range.always.upperBound
        var selection = Selection(project: project, types: [IdentityLink.eventType], userIds: users)
        var candidates = Candidates(late)
        if !users.isEmpty { candidates = try await store.scanEvents(selection, in: [range], reading: [], into: candidates) }
        guard candidates.ids.count <= Self.limit else { return nil }
        guard !candidates.ids.isEmpty else { return [] }
        // An anonymous id belongs to the user of its earliest link, which may be a user outside the erasure.
        selection.userIds = []
        if candidates.ids.count <= Erasure.namedIds { selection.anonymousIds = candidates.ids.map(\.text) }
        var links = LinksOf(ids: candidates.ids)
        for link in late { links.add(link) }
        links = try await store.scanEvents(selection, in: [range], reading: [], into: links)
        let own = Set((users + late.map(\.user.text)).map { ActorKey(.user, $0) })
        let map = links.map
        return candidates.ids.map(\.text).filter { id in
            map.users[ActorKey(.anonymous, id)].map { own.contains($0) } ?? false
        }
    }
}

private struct Candidates: EventScanReducer {
    private(set) var ids: Set<BytewiseString>

    init(_ late: [Erasure.LateLink]) {
        ids = Set(late.map(\.anonymousId))
    }

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let id = event.anonymousId { ids.insert(BytewiseString(id)) }
        return ids.count <= ErasureIdentities.limit
    }
}

/// The earliest link of each of the given anonymous ids.
private struct LinksOf: EventScanReducer {
    let ids: Set<BytewiseString>
    private var first: [ActorKey: (day: Int64, link: IdentityLink)] = [:]

    init(ids: Set<BytewiseString>) {
        self.ids = ids
    }

    var map: IdentityMap { IdentityMap(first.values.map { ($0.day, [$0.link]) }) }

    mutating func add(_ event: ScannedEvent) -> Bool {
        guard let id = event.anonymousId, ids.contains(BytewiseString(id)), let link = IdentityLink(event) else { return true }
        add(link, of: event.timestamp.day)
        return true
    }

    mutating func add(_ late: Erasure.LateLink) {
        let day = late.time.day
        let time = UInt32(truncatingIfNeeded: (late.time - Timestamp(day: day)).milliseconds)
        add(IdentityLink(time: time, anonymous: ActorKey(.anonymous, late.anonymousId.text), user: late.user), of: day)
    }

    private mutating func add(_ link: IdentityLink, of day: Int64) {
        if let before = first[link.anonymous], before.day < day || (before.day == day && !link.precedes(before.link)) { return }
        first[link.anonymous] = (day, link)
    }
}
