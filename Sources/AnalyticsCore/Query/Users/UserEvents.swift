/// What is read of one user beside the counts of the profile.
extension EventReader {
    /// Anonymous ids of one user that are told.
    public static let anonymousIdLimit = 1_000

    /// The anonymous ids that belong to a user, by their bytes.
    public func anonymousIds(
        of user: UserReference, _ engine: QueryEngine, _ project: ProjectID, for asker: Asker
    ) async throws -> [String] {
        guard case .userId(let id) = user else { return [] }
        let selection = Selection(project: project, types: [IdentityLink.eventType], userIds: [id])
        let named = try await scanning(selection, for: asker, into: AnonymousIds()).ids.map(\.text)
        let own = try await engine.belonging(named, to: id, of: project, for: asker)
        return Array(own.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.prefix(Self.anonymousIdLimit))
    }

    /// A user's newest events: its own, and those without a user of its anonymous ids.
    public func newest(
        _ limit: Int, of user: UserReference, _ anonymousIds: [String], _ selection: Selection, _ profile: UserProfile, for asker: Asker,
        holding hold: @escaping @Sendable (Int) throws -> Void
    ) async throws -> [StoredEvent] {
        guard limit > 0 else { return [] }
        var own = selection
        (own.from, own.to) = (profile.first, profile.last + .milliseconds(1))
        var anonymous = own
        var events: [StoredEvent] = []
        switch user {
        case .userId(let id):
            own.userIds = [id]
            events = try await newest(limit, own, for: asker, holding: hold) { _ in true }
            anonymous.anonymousIds = anonymousIds
        case .anonymousId(let id): anonymous.anonymousIds = [id]
        }
        if !anonymous.anonymousIds.isEmpty {
            // With as many of its own, older ones are not wanted.
            if events.count == limit, let oldest = events.last { anonymous.from = oldest.event.timestamp }
            events += try await newest(limit, anonymous, for: asker, holding: hold) { $0.event.userId == nil }
        }
        events.sort { a, b in
            let (first, second) = (a.event, b.event)
            return first.timestamp != second.timestamp
                ? first.timestamp > second.timestamp : second.id.utf8.lexicographicallyPrecedes(first.id.utf8)
        }
        return Array(events.prefix(limit))
    }

    private func newest(
        _ limit: Int, _ selection: Selection, for asker: Asker, holding hold: @escaping @Sendable (Int) throws -> Void,
        _ isWanted: (StoredEvent) -> Bool
    ) async throws -> [StoredEvent] {
        var events: [StoredEvent] = []
        var cursor: EventCursor?
        repeat {
            let page = try await page(selection, after: cursor, limit: limit, for: asker, holding: hold)
            events += page.events.filter(isWanted)
            cursor = page.next
        } while events.count < limit && cursor != nil
        return Array(events.prefix(limit))
    }
}

private struct AnonymousIds: EventScanReducer {
    private(set) var ids: Set<BytewiseString> = []

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let id = event.anonymousId { ids.insert(BytewiseString(id)) }
        return ids.count < EventReader.anonymousIdLimit * 10
    }
}
