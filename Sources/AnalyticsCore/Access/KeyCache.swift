/// What a process knows of keys, and when it asks the store. A state machine without I/O: the times passed in are of an ``ElapsedClock``.
///
/// A state is used for ``maximumAge``, then it is read again. Reads of keys that are not known are limited, per peer and in all, so a flood
/// of wrong keys neither reaches the store nor slows down the keys that exist.
struct KeyCache: Sendable {
    enum Answer: Sendable, Equatable {
        /// `nil` if there is no such key. Stale: the store has not answered since.
        case key(StoredKey?, isStale: Bool)
        case tooManyUnknown(retryAfter: Duration)
        /// The store does not answer, and there is no state that is new enough.
        case unavailable
    }

    enum Step: Sendable, Equatable {
        case answer(Answer)
        /// Read the key, then call ``finish(_:_:begun:at:)``.
        case read
        /// A read of this key is in flight.
        case wait
    }

    private struct Entry {
        /// `nil` if there is no such key.
        var key: StoredKey?
        /// When the read of this state began: a change that was durable before is in it.
        var readAt: Duration
        /// After a failed read: until then the last state is used.
        var retryAt: Duration?

        /// `nil` if the key has to be read.
        func answer(at now: Duration) -> Answer? {
            if now - readAt < KeyCache.maximumAge { return .key(key, isStale: false) }
            if let retryAt, now < retryAt { return last(at: now) }
            return nil
        }

        func last(at now: Duration) -> Answer {
            let age = now - readAt
            return age <= KeyCache.maximumStaleAge ? .key(key, isStale: age >= KeyCache.maximumAge) : .unavailable
        }
    }

    static let maximumAge: Duration = .seconds(15)
    /// While the store does not answer.
    static let maximumStaleAge: Duration = .seconds(3_600)
    /// Time limit of a read.
    static let readLimit: Duration = .seconds(2)
    /// After a failed read, until the next.
    static let pause: Duration = .seconds(1)
    /// Keys that exist, and as many that do not.
    static let maximumKeys = 10_000
    /// Uses that are not written yet.
    static let maximumUses = 10_000
    static let usesAtATime = 1_000

    private var known = BoundedMap<KeyDigest, Entry>(limit: Self.maximumKeys)
    /// Apart from `known`: an unknown key never displaces one that exists.
    private var unknown = BoundedMap<KeyDigest, Entry>(limit: Self.maximumKeys)
    private var reading: Set<KeyDigest> = []
    /// After a failed read, keys without a state are not read until then.
    private var pausedUntil = Duration.zero
    private var unknownReads = UnknownLimit()
    /// Hours of use by the key's id.
    private var uses: [String: Timestamp] = [:]

    // MARK: Look-ups

    mutating func look(up digest: KeyDigest, from peer: String, at now: Duration) -> Step {
        if let entry = known.use(digest) {
            if let answer = entry.answer(at: now) { return .answer(answer) }
            guard reading.insert(digest).inserted else { return .wait }
            // The last read failed: one request tries again, the others go on with the last state meanwhile.
            if entry.retryAt != nil { known.update(digest) { $0.retryAt = now + Self.readLimit } }
            return .read
        }
        let entry = unknown.use(digest)
        if let answer = entry?.answer(at: now) { return .answer(answer) }
        if reading.contains(digest) { return .wait }
        if now < pausedUntil { return .answer(entry?.last(at: now) ?? .unavailable) }
        if let wait = unknownReads.take(peer, at: now) { return .answer(.tooManyUnknown(retryAfter: wait)) }
        reading.insert(digest)
        return .read
    }

    /// - Parameter begun: When the read began.
    mutating func finish(_ digest: KeyDigest, _ result: Result<StoredKey?, StoreError>, begun: Duration, at now: Duration) {
        reading.remove(digest)
        switch result {
        case .success(let read):
            pausedUntil = .zero
            // The store looks up by id, a part of the digest.
            take(read.flatMap { $0.digest.isSame(as: digest) ? $0 : nil }, for: digest, readAt: begun)
        case .failure:
            pausedUntil = now + Self.pause
            known.update(digest) { $0.retryAt = now + Self.pause }
        }
    }

    /// After a read.
    func lastAnswer(of digest: KeyDigest, at now: Duration) -> Answer {
        (known[digest] ?? unknown[digest])?.last(at: now) ?? .unavailable
    }

    /// Takes keys that were listed. The first ones are displaced first. States of single reads stay.
    mutating func take(_ keys: some Sequence<StoredKey>, readAt: Duration) {
        for key in keys where known[key.digest] == nil { take(key, for: key.digest, readAt: readAt) }
    }

    private mutating func take(_ read: StoredKey?, for digest: KeyDigest, readAt: Duration) {
        let before = known[digest]
        guard var key = read else {
            // A key that existed stays among those: only a restored backup can lack it.
            if before == nil { unknown.set(Entry(readAt: readAt), for: digest) } else { known.set(Entry(readAt: readAt), for: digest) }
            return
        }
        // The store may not have the last use yet.
        key.lastUsedAt = [key.lastUsedAt, before?.key?.lastUsedAt].compactMap(\.self).max()
        known.set(Entry(key: key, readAt: readAt), for: digest)
    }

    // MARK: Uses

    /// Notes a use in this hour, unless it is noted already.
    mutating func use(_ digest: KeyDigest, in hour: Timestamp) {
        guard uses.count < Self.maximumUses, let key = known[digest]?.key, key.lastUsedAt.map({ $0 < hour }) ?? true else { return }
        known.update(digest) { $0.key?.lastUsedAt = hour }
        uses[key.id] = hour
    }

    /// Some of the uses to be written, by the key's id; empty if there are none.
    mutating func takeUses() -> [String: Timestamp] {
        let taken = Dictionary(uniqueKeysWithValues: uses.prefix(Self.usesAtATime).map { ($0.key, $0.value) })
        for id in taken.keys { uses[id] = nil }
        return taken
    }

    /// Uses that the store did not take.
    mutating func putBack(_ taken: [String: Timestamp]) {
        uses.merge(taken) { max($0, $1) }
    }
}
