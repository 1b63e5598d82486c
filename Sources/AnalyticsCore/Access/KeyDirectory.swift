public import Logging
public import ServiceLifecycle
internal import Synchronization

/// Why a key is refused.
public enum KeyRefusal: Error, Sendable, Equatable {
    case unknown
    case revoked
    case expired
    /// The peer, or all together, have asked for too many keys that do not exist.
    case tooManyUnknown(retryAfter: Duration)
    /// The store does not answer, and this process does not know the key.
    case unavailable
}

/// The keys of the store, with their last states in memory. A change in the store is in force after ``KeyCache/maximumAge``, unless the
/// store does not answer. ``KeyCache`` decides; this reads and writes.
public final class KeyDirectory: Service {
    private struct State {
        var cache = KeyCache()
        /// One for each key that is being read.
        var reads: [KeyDigest: Task<Void, Never>] = [:]
        var hasListed = false
    }

    /// Between two writes of uses, ±25 %.
    static let interval: Duration = .seconds(60)
    private static let writeLimit: Duration = .seconds(3)
    private static let listLimit: Duration = .seconds(10)

    private let store: any KeyStore
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let state = Mutex(State())

    public init(store: any KeyStore, clock: WallClock, elapsed: ElapsedClock = .system, logger: Logger) {
        self.store = store
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
        AccessMetrics.prepare()
    }

    /// Reads the keys that exist, writes the uses of keys every minute, and once more at shutdown.
    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { [self] in
            await list()
            await writeUses()
        }
        await writeUses()
    }

    /// - Parameter peer: The address of the client, whose look-ups of unknown keys are limited.
    public func key(_ key: APIKey, from peer: String) async throws(KeyRefusal) -> StoredKey {
        do throws(KeyRefusal) {
            return try await accepted(key.digest, from: peer)
        } catch {
            AccessMetrics.refused(error.reason)
            throw error
        }
    }

    private func accepted(_ digest: KeyDigest, from peer: String) async throws(KeyRefusal) -> StoredKey {
        switch await answer(to: digest, from: peer) {
        case .tooManyUnknown(let retryAfter): throw .tooManyUnknown(retryAfter: retryAfter)
        case .unavailable: throw .unavailable
        case .key(let key, _):
            guard let key else { throw .unknown }
            let now = clock.now()
            if let refusal = key.refusal(at: now) { throw refusal }
            let hour = Timestamp(hour: now.hour)
            if key.lastUsedAt.map({ $0 < hour }) ?? true { state.withLock { $0.cache.use(digest, in: hour) } }
            return key
        }
    }

    private func answer(to digest: KeyDigest, from peer: String) async -> KeyCache.Answer {
        let now = elapsed.now()
        let (known, read) = state.withLock { state -> (KeyCache.Answer?, Task<Void, Never>?) in
            switch state.cache.look(up: digest, from: peer, at: now) {
            case .answer(let answer): return (answer, nil)
            case .read: state.reads[digest] = Task.detached { await self.read(digest) }
            case .wait: break
            }
            return (nil, state.reads[digest])
        }
        if let known {
            AccessMetrics.lookedUp(known.how ?? .hit)
            return known
        }
        await read?.value
        let later = elapsed.now()
        let answer = state.withLock { $0.cache.lastAnswer(of: digest, at: later) }
        AccessMetrics.lookedUp(answer.how ?? .miss)
        return answer
    }

    /// Not cancelled when its first caller leaves: others may wait for it.
    private func read(_ digest: KeyDigest) async {
        let begun = elapsed.now()
        let result = await elapsed.read(.key, within: KeyCache.readLimit) { [store] () async throws(StoreError) in
            try await store.key(digest.keyID)
        }
        let now = elapsed.now()
        state.withLock { state in
            state.cache.finish(digest, result, begun: begun, at: now)
            state.reads[digest] = nil
        }
    }

    /// Once, as soon as the store answers: after a start, keys that exist do not compete with a flood of unknown ones for look-ups.
    func list() async {
        guard !state.withLock({ $0.hasListed }) else { return }
        let begun = elapsed.now()
        let result = await elapsed.read(.keys, within: Self.listLimit) { [store] () async throws(StoreError) in
            try await store.keys(of: nil)
        }
        switch result {
        case .success(let keys):
            let now = clock.now()
            let valid = keys.filter { $0.refusal(at: now) == nil }.sorted { $0.lastUsedAt ?? $0.createdAt < $1.lastUsedAt ?? $1.createdAt }
            state.withLock { state in
                state.cache.take(valid.suffix(KeyCache.maximumKeys), readAt: begun)
                state.hasListed = true
            }
        case .failure(let error):
            guard !Task.isCancelled else { return }
            logger.info("Keys not listed, retrying", metadata: ["error": "\(error)"])
        }
    }

    /// One attempt; ``run()`` makes the next.
    func writeUses() async {
        while true {
            let uses = state.withLock { $0.cache.takeUses() }
            guard !uses.isEmpty else { return }
            do throws(StoreError) {
                try await Deadline.within(Self.writeLimit) { () async throws(StoreError) in try await store.recordKeyUses(uses) }
            } catch {
                state.withLock { $0.cache.putBack(uses) }
                logger.info("Uses of keys not written, retrying", metadata: ["error": "\(error)"])
                return
            }
        }
    }
}

extension StoredKey {
    /// Why the key is refused at this time; `nil` if it is valid. A revocation counts whatever the clocks say.
    public func refusal(at now: Timestamp) -> KeyRefusal? {
        if revokedAt != nil { return .revoked }
        if let expiresAt, expiresAt <= now { return .expired }
        return nil
    }
}

extension KeyRefusal {
    fileprivate var reason: AccessMetrics.Refusal {
        switch self {
        case .unknown: .invalidKey
        case .revoked: .revokedKey
        case .expired: .expiredKey
        case .tooManyUnknown: .tooManyAttempts
        case .unavailable: .storeUnavailable
        }
    }
}

extension KeyCache.Answer {
    /// `nil` for a state that is new enough.
    fileprivate var how: AccessMetrics.LookUp? {
        switch self {
        case .key(_, let isStale): isStale ? .stale : nil
        case .tooManyUnknown: .limited
        case .unavailable: .error
        }
    }
}
