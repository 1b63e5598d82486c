import Synchronization
import TestSupport

@testable import AnalyticsCore

/// Keys in memory. Counts reads, fails, and hangs.
final class FakeKeyStore: KeyStore {
    private struct State {
        var keys: [String: StoredKey] = [:]
        var isClosed = false
        var isDown = false
        var isHanging = false
        var held: [CheckedContinuation<Void, Never>] = []
        var reads: [String] = []
        var lists = 0
        var latchReads = 0
        var writtenUses: [[String: Timestamp]] = []
    }

    private let state = Mutex(State())

    /// Ids of the keys that were read, one for each read.
    var reads: [String] { state.withLock { $0.reads } }
    var lists: Int { state.withLock { $0.lists } }
    var latchReads: Int { state.withLock { $0.latchReads } }
    var writtenUses: [[String: Timestamp]] { state.withLock { $0.writtenUses } }

    func add(_ keys: [StoredKey]) {
        state.withLock { state in for key in keys { state.keys[key.id] = key } }
    }

    func edit(_ id: String, _ body: (inout StoredKey) -> Void) { state.withLock { body(&$0.keys[id]!) } }

    func close(_ isClosed: Bool = true) { state.withLock { $0.isClosed = isClosed } }

    func down(_ isDown: Bool = true) { state.withLock { $0.isDown = isDown } }

    /// Operations wait for ``release()``, whatever their callers do.
    func hang() { state.withLock { $0.isHanging = true } }

    func release() {
        let held = state.withLock { state in
            state.isHanging = false
            let held = state.held
            state.held = []
            return held
        }
        for continuation in held { continuation.resume() }
    }

    private func pass(_ operation: StoreOperation) async throws(StoreError) {
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                if state.isHanging { state.held.append(continuation) }
                return state.isHanging
            }
            if !isHeld { continuation.resume() }
        }
        if state.withLock({ $0.isDown }) { throw StoreError(.unavailable, operation: operation.rawValue, "down") }
    }

    func createKey(_ key: StoredKey) async throws(StoreError) {
        try await pass(.createKey)
        state.withLock { state in
            state.isClosed = true
            if state.keys[key.id] == nil { state.keys[key.id] = key }
        }
    }

    func key(_ id: String) async throws(StoreError) -> StoredKey? {
        state.withLock { $0.reads.append(id) }
        try await pass(.key)
        return state.withLock { $0.keys[id] }
    }

    func keys(of project: ProjectID?) async throws(StoreError) -> [StoredKey] {
        state.withLock { $0.lists += 1 }
        try await pass(.keys)
        return state.withLock { $0.keys.values.filter { project == nil || $0.project == project } }
    }

    func revokeKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try await pass(.revokeKey)
        state.withLock { state in if state.keys[id]?.revokedAt == nil { state.keys[id]?.revokedAt = time } }
    }

    func expireKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try await pass(.expireKey)
        state.withLock { state in
            guard let key = state.keys[id] else { return }
            state.keys[id]?.expiresAt = min(key.expiresAt ?? time, time)
        }
    }

    func removeKeys(_ ids: [String]) async throws(StoreError) {
        try await pass(.removeKeys)
        state.withLock { state in for id in ids { state.keys[id] = nil } }
    }

    func recordKeyUses(_ uses: [String: Timestamp]) async throws(StoreError) {
        try await pass(.recordKeyUses)
        state.withLock { state in
            state.writtenUses.append(uses)
            for (id, time) in uses {
                guard let key = state.keys[id] else { continue }
                state.keys[id]?.lastUsedAt = max(key.lastUsedAt ?? time, time)
            }
        }
    }

    func closeAnonymousAccess(at time: Timestamp) async throws(StoreError) {
        try await pass(.closeAnonymousAccess)
        state.withLock { $0.isClosed = true }
    }

    func isAnonymousAccessClosed() async throws(StoreError) -> Bool {
        state.withLock { $0.latchReads += 1 }
        try await pass(.anonymousAccess)
        return state.withLock { $0.isClosed }
    }
}

extension StoredKey {
    /// Made at noon.
    init(_ key: APIKey, project: ProjectID = "shop", expiresAt: Timestamp? = nil) {
        self.init(
            digest: key.digest, project: project, scope: key.scope, name: "", prefix: key.prefix, maker: "command line", createdAt: noon,
            expiresAt: expiresAt)
    }

    /// The key with this number; none has such a text.
    init(number: Int, project: ProjectID = "shop") {
        self.init(
            digest: KeyDigest(number), project: project, scope: .write, name: "", prefix: "", maker: "command line", createdAt: noon)
    }
}

extension KeyDigest {
    /// Different for each number.
    init(_ number: Int) {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        self.init(bytes: bytes + [UInt8](repeating: 0, count: KeyDigest.byteCount - bytes.count))!
    }
}

extension ManualClock {
    /// Noon, and the time that has passed.
    var wall: WallClock { WallClock { noon + self.elapsed.now() } }
}
