package import AnalyticsCore
internal import AnalyticsJSON
internal import Synchronization

extension MemoryStore {
    package func erasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await read("erasures") { $0.erasures(of: project) }
    }

    package func newestErasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await read("newestErasures") { $0.erasures(of: project) }
    }

    package func writeErasure(_ erasure: StoredErasure, replacing revision: Int64) async throws(StoreError) -> Bool {
        try write(.erasure) { state in
            let key = Key(erasure.project, erasure.id)
            guard state.erasures[key]?.revision ?? 0 == revision else { return false }
            state.erasures[key] = erasure
            return true
        }
    }

    package func announceErasure(of project: ProjectID) async throws(StoreError) {
        try write(.announce) { $0.records[project, default: ProjectRecord(project: project)].erasures += 1 }
    }

    package func remove(_ events: [Event]) async throws(StoreError) -> Int {
        try write(.remove) { state in
            var count = 0
            for event in events {
                let key = Key(event.project, event.id)
                guard let stored = state.events[key], stored.event.ingestID.equalsUTF8(event.ingestID) else { continue }
                state.events[key] = nil
                count += 1
            }
            return count
        }
    }

    package func overwriteDeleted() async throws(StoreError) {
        try write(.overwrite) { _ in }
    }
}

extension MemoryStore.State {
    fileprivate func erasures(of project: ProjectID) -> [StoredErasure] {
        erasures.values.filter { $0.project == project }.sorted { BytewiseString($0.id) < BytewiseString($1.id) }
    }
}

extension MemoryStore {
    /// All bytes that it keeps: of events, segments and erasures.
    package var storedBytes: [[UInt8]] {
        let state = state.withLock { $0 }
        let events = state.events.values.map { stored in
            let event = stored.event
            let texts = [
                event.id, event.type, event.source, event.userId, event.anonymousId, event.sessionId, event.correlationId, event.data?.text,
                event.metadata?.text, stored.context?.text,
            ]
            return Array(texts.compactMap(\.self).joined(separator: "\n").utf8)
        }
        let tables = state.tiers.values.flatMap(\.values).map(\.table.bytes)
        return events + tables + state.segmentHeads.values.map(\.bytes) + state.segmentBlobs.values + state.erasures.values.map(\.bytes)
    }

    /// Stores an event as a server does that carries out an insert late: unmarked, and nobody waits for it.
    package func plant(_ event: StoredEvent) { state.withLock { $0.events[Key(event.event.project, event.event.id)] = event } }

    package func editErasures(_ body: (inout [UInt8]) -> Void) {
        state.withLock { state in for key in state.erasures.keys { body(&state.erasures[key]!.bytes) } }
    }
}

extension [[UInt8]] {
    /// Whether one of them has the bytes of a text in it.
    package func hold(_ text: String) -> Bool {
        let wanted = [UInt8](text.utf8)
        return contains { bytes in
            guard bytes.count >= wanted.count, let first = wanted.first else { return false }
            return (0...bytes.count - wanted.count).contains { bytes[$0] == first && bytes[$0..<$0 + wanted.count].elementsEqual(wanted) }
        }
    }
}
