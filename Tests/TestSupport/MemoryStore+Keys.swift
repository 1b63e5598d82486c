package import AnalyticsCore

extension MemoryStore {
    package func createKey(_ key: StoredKey) async throws(StoreError) {
        try await closeAnonymousAccess(at: key.createdAt)
        try write(.record) { state in
            let id = BytewiseString(key.id)
            if state.keys[id] == nil { state.keys[id] = key }
        }
    }

    package func key(_ id: String) async throws(StoreError) -> StoredKey? {
        try await read("key") { $0.keys[BytewiseString(id)] }
    }

    package func keys(of project: ProjectID?) async throws(StoreError) -> [StoredKey] {
        try await read("keys") { state in
            state.keys.values.filter { project == nil || $0.project == project }.sorted {
                ($0.createdAt, BytewiseString($0.id)) < ($1.createdAt, BytewiseString($1.id))
            }
        }
    }

    package func revokeKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try edit([id: time]) { $0.revokedAt = $0.revokedAt ?? $1 }
    }

    package func expireKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try edit([id: time]) { $0.expiresAt = min($0.expiresAt ?? $1, $1) }
    }

    package func removeKeys(_ ids: [String]) async throws(StoreError) {
        try write(.record) { state in for id in ids { state.keys[BytewiseString(id)] = nil } }
    }

    package func recordKeyUses(_ uses: [String: Timestamp]) async throws(StoreError) {
        try edit(uses) { $0.lastUsedAt = max($0.lastUsedAt ?? $1, $1) }
    }

    package func closeAnonymousAccess(at time: Timestamp) async throws(StoreError) {
        try write(.record) { $0.isAnonymousAccessClosed = true }
    }

    package func isAnonymousAccessClosed() async throws(StoreError) -> Bool {
        try await read("isAnonymousAccessClosed") { $0.isAnonymousAccessClosed }
    }

    private func edit(_ times: [String: Timestamp], _ body: (inout StoredKey, Timestamp) -> Void) throws(StoreError) {
        try write(.record) { state in
            for (id, time) in times {
                guard var key = state.keys[BytewiseString(id)] else { continue }
                body(&key, time)
                state.keys[BytewiseString(id)] = key
            }
        }
    }
}
