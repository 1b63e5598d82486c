internal import Algorithms

/// Reads a user's anonymous ids and newest events.
extension EventReader {
    /// Maximum number of anonymous ids of a user in an answer.
    public static let anonymousIdLimit = 1_000
    /// Maximum number of anonymous ids of a user by which its events are found.
    private static let readIdLimit = 10_000
    /// Maximum time between events that are read together.
    private static let gap: Duration = .seconds(1)
    /// Events per read if unwanted events may lie between the wanted ones, and the maximum number of these reads.
    private static let eventsAtATime = 500
    private static let mostPages = 40

    /// The anonymous ids that belong to a user, sorted by bytes; at most as many as its events are found by.
    public func anonymousIds(
        of user: UserReference, _ engine: QueryEngine, _ project: ProjectID, for asker: Asker
    ) async throws -> [String] {
        guard case .userId(let id) = user else { return [] }
        let selection = Selection(project: project, types: [IdentityLink.eventType], userIds: [id])
        let named = try await scanning(selection, for: asker, into: AnonymousIds(limit: Self.readIdLimit)).sorted.map(\.text)
        return try await engine.belonging(named, to: id, of: project, for: asker)
    }

    /// A user's newest events: its own, and those of its anonymous ids that have no user. The profile has their times, so no other
    /// range is read.
    ///
    /// Throws a ``QueryTooLargeError`` if too many events of other users of a shared device have the same times.
    ///
    /// - Parameter hold: Called with the bytes of all events held.
    public func newest(
        _ limit: Int, of user: UserReference, _ anonymousIds: [String], _ selection: Selection, _ profile: UserProfile, for asker: Asker,
        holding hold: @escaping @Sendable (Int) throws -> Void
    ) async throws -> [StoredEvent] {
        let times = profile.newest.prefix(limit)
        guard let first = times.last, let last = times.first else { return [] }
        var (found, selection) = (FoundEvents(hold: hold), selection)
        var missing = Dictionary(times.map { ($0, 1) }, uniquingKeysWith: +)
        switch user {
        case .userId(let id):
            var own = selection
            (own.userIds, own.from, own.to) = ([id], first, last + .milliseconds(1))
            try await read(own, limit, atATime: limit, for: asker, into: &found) { _ in true }
            for event in found.events { missing[event.event.timestamp, default: 0] -= 1 }
            selection.anonymousIds = anonymousIds
        case .anonymousId(let id): selection.anonymousIds = [id]
        }
        let rest = missing.filter { $0.value > 0 }.keys.sorted()
        guard !selection.anonymousIds.isEmpty, !rest.isEmpty else { return found.newest(limit) }
        for slice in rest.chunked(by: { $1 - $0 <= Self.gap }).reversed() {
            guard let first = slice.first, let last = slice.last else { continue }
            (selection.from, selection.to) = (first, last + .milliseconds(1))
            try await read(selection, limit, atATime: Self.eventsAtATime, for: asker, into: &found) { $0.event.userId == nil }
        }
        return found.newest(limit)
    }

    private func read(
        _ selection: Selection, _ limit: Int, atATime count: Int, for asker: Asker, into found: inout FoundEvents,
        _ isWanted: (StoredEvent) -> Bool
    ) async throws {
        var (cursor, wanted): (EventCursor?, Int) = (nil, 0)
        repeat {
            found.pages += 1
            guard found.pages <= Self.mostPages + UserProfile.newestLimit else { throw QueryTooLargeError(.tooManyEvents) }
            let (kept, hold) = (found.bytes, found.hold)
            let page = try await page(selection, after: cursor, limit: count, for: asker) { try hold(kept + $0) }
            let events = page.events.filter(isWanted)
            wanted += events.count
            try found.add(events)
            cursor = page.next
        } while wanted < limit && cursor != nil
    }
}

/// Events held, and their bytes.
private struct FoundEvents {
    private(set) var events: [StoredEvent] = []
    private(set) var bytes = 0
    var pages = 0
    let hold: @Sendable (Int) throws -> Void

    init(hold: @escaping @Sendable (Int) throws -> Void) {
        self.hold = hold
    }

    mutating func add(_ more: [StoredEvent]) throws {
        events += more
        bytes += more.reduce(0) { $0 + $1.size }
        try hold(bytes)
    }

    /// Newest first.
    func newest(_ limit: Int) -> [StoredEvent] {
        let sorted = events.sorted { a, b in
            let (first, second) = (a.event, b.event)
            return first.timestamp != second.timestamp
                ? first.timestamp > second.timestamp : second.id.utf8.lexicographicallyPrecedes(first.id.utf8)
        }
        return Array(sorted.prefix(limit))
    }
}

/// The first distinct ids, by their bytes.
private struct AnonymousIds: EventScanReducer {
    private var ids: Set<BytewiseString> = []
    let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var sorted: [BytewiseString] { Array(ids.sorted().prefix(limit)) }

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let id = event.anonymousId { ids.insert(BytewiseString(id)) }
        if ids.count >= limit * 2 { ids = Set(sorted) }
        return true
    }
}
