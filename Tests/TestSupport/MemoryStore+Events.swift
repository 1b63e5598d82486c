package import AnalyticsCore
internal import AnalyticsJSON
internal import Synchronization

extension MemoryStore {
    package func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        if let hook = hooks.withLock({ $0.beforeInsert }) { await hook() }
        return try write(.insert) { (state) throws(StoreError) in
            guard !events.contains(where: { state.poison.contains($0.event.id) }) else {
                throw StoreError(.refused, operation: "insert", "poison")
            }
            state.insertions.append(events.count)
            return events.map { Self.insert($0, &state) }
        }
    }

    private static func insert(_ event: StoredEvent, _ state: inout State) -> InsertOutcome {
        if state.refused.contains(event.event.id) { return .refused("never") }
        let key = Key(event.event.project, event.event.id)
        guard let present = state.events[key] else {
            state.events[key] = event
            return .stored
        }
        if present.event.ingestID.equalsUTF8(event.event.ingestID) { return .redelivered }
        let heldAt = present.event.timestamp
        return present.fingerprint == event.fingerprint ? .duplicate(heldAt: heldAt) : .conflict(heldAt: heldAt)
    }

    package func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent? {
        try await read("event") { $0.events[Key(project, id)] }
    }

    package func events(
        matching selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        state.withLock { $0.listed = selection }
        return try await read("events") { (state) async throws(StoreError) in
            let matching = try await state.select(selection, "events") { event in
                selection.from.map { event.timestamp >= $0 } ?? true && selection.to.map { event.timestamp < $0 } ?? true
                    && position.map { Self.isAfter($0, event) } ?? true
            }
            var bytes = 0
            return matching.sorted(by: Self.newestFirst).prefix(max(0, limit)).prefix { event in
                defer { bytes += event.size }
                return bytes == 0 || bytes < byteLimit
            }
        }
    }

    static func newestFirst(_ a: StoredEvent, _ b: StoredEvent) -> Bool {
        if a.event.timestamp != b.event.timestamp { return a.event.timestamp > b.event.timestamp }
        return b.event.id.utf8.lexicographicallyPrecedes(a.event.id.utf8)
    }

    private static func isAfter(_ position: EventPosition, _ event: Event) -> Bool {
        if event.timestamp != position.timestamp { return event.timestamp < position.timestamp }
        return event.id.utf8.lexicographicallyPrecedes(position.id.utf8)
    }
}

extension MemoryStore.State {
    /// The selected events, of which `isInRange` says whether they lie in what stands for the selection's range. In no order.
    func select(
        _ selection: Selection, _ operation: String, isInRange: (Event) -> Bool
    ) async throws(StoreError) -> [StoredEvent] {
        let matcher = DataMatcher(selection.data)
        var selected: [StoredEvent] = []
        for (number, stored) in events.values.enumerated() {
            if number > 0, number.isMultiple(of: 256) {
                // A long scan leaves the threads to others, too.
                await Task.yield()
                try MemoryStore.checkCaller(operation)
            }
            let event = stored.event
            guard event.project == selection.project, isInRange(event), Self.holds(event.type, selection.types),
                Self.holds(event.source, selection.sources), Self.holds(event.userId, selection.userIds),
                Self.holds(event.anonymousId, selection.anonymousIds),
                Self.holds(event.correlationId, selection.correlationIds), selection.includesBots || !stored.isBot,
                (try? matcher.matches(event.data?.text)) == true
            else { continue }
            selected.append(stored)
        }
        return selected
    }

    private static func holds(_ value: String?, _ any: [String]) -> Bool {
        any.isEmpty || value.map { value in any.contains { $0.equalsUTF8(value) } } ?? false
    }
}
