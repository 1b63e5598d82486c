public import ServiceLifecycle
internal import Synchronization

/// Why a session is refused.
public enum SessionRefusal: Error, Sendable, Equatable {
    /// There is none, or it has ended.
    case unknown
    /// The peer, or all together, have asked for too many sessions that do not exist.
    case tooManyUnknown(retryAfter: Duration)
    /// The store does not answer.
    case unavailable
}

/// The sessions of the store, with the last states of those in use in memory. A change in the store is in force after ``maximumAge``.
/// While the store is down sessions are refused: unlike keys, they are for people, whose requests need it anyway.
public final class SessionDirectory: Service {
    /// A session that is, or was, in the store.
    private struct Known: Sendable {
        var digest: KeyDigest
        /// `nil` if it has to be read. `readAt` is when the read of this state began: a change that was durable before is in it.
        var last: (signedIn: SignedIn, readAt: Duration)?
    }

    private struct Found: Sendable {
        var signedIn: SignedIn
        /// The record to write because of this use.
        var use: Record?
    }

    private struct State {
        /// By the session's id; `nil` for one that has ended.
        var known = BoundedMap<String, Known?>(limit: SessionDirectory.maximumSessions)
        /// Where accounts have signed in.
        var places = BoundedMap<AccountPlace, Bool>(limit: SessionDirectory.maximumSessions)
        var unknown = UnknownLimit()
        /// Raised when something is forgotten: reads that began before must not bring it back.
        var generation = 0
        var hasListed = false
    }

    private struct Reading: Hashable, Sendable {
        var digest: KeyDigest
        var generation: Int
    }

    static let maximumAge: Duration = .seconds(15)
    /// Time limit of a read.
    static let readLimit: Duration = .seconds(2)
    static let maximumSessions = 10_000
    private static let writeLimit: Duration = .seconds(1)
    private static let listLimit: Duration = .seconds(10)

    private let store: any RecordStore
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let state = Mutex(State())
    private let reads = SingleFlight<Reading, SignedIn>()

    public init(store: any RecordStore, clock: WallClock, elapsed: ElapsedClock = .system) {
        self.store = store
        self.clock = clock
        self.elapsed = elapsed
        AccessMetrics.prepare()
    }

    /// Lists the sessions that exist, as soon as the store answers.
    public func run() async throws {
        await elapsed.repeating(every: .seconds(10)) { [self] in await list() }
    }

    /// - Parameter peer: The address of the client, whose look-ups of unknown tokens are limited.
    public func session(_ token: SessionToken, from peer: String) async throws(SessionRefusal) -> SignedIn {
        do throws(SessionRefusal) {
            return try await accepted(token.digest, from: peer)
        } catch {
            AccessMetrics.refused(error.reason)
            throw error
        }
    }

    private func accepted(_ digest: KeyDigest, from peer: String) async throws(SessionRefusal) -> SignedIn {
        let now = elapsed.now()
        let (known, reading) = state.withLock { state -> (Known?, Reading) in
            (state.known.use(digest.keyID) ?? nil, Reading(digest: digest, generation: state.generation))
        }
        let isKnown = known?.digest == digest
        if isKnown, let last = known?.last, now - last.readAt < Self.maximumAge {
            guard last.signedIn.session.expiresAt > clock.now() else { throw .unknown }
            return last.signedIn
        }
        do {
            return try await reads.value(for: reading) { try await self.read(reading, isKnown: isKnown, from: peer) }
        } catch let refusal as SessionRefusal {
            throw refusal
        } catch {
            // The caller was cancelled.
            throw SessionRefusal.unavailable
        }
    }

    // MARK: What is known

    /// A session that is in the store. It is read at its first use, and does not compete with a flood of unknown tokens for look-ups.
    func expect(_ session: Session) {
        state.withLock { state in
            state.places.set(true, for: AccountPlace(account: session.account, address: session.address ?? ""))
            if let known = state.known[session.id], known != nil { return }
            state.known.set(Known(digest: session.digest), for: session.id)
        }
    }

    /// Whether the account has signed in from this network, as far as this process knows. Not a read of the store, whose time would tell
    /// that there is an account.
    func isFamiliar(_ place: AccountPlace) -> Bool { state.withLock { $0.places.use(place) ?? false } }

    /// The state of this session in memory is not used any more.
    public func forget(_ id: String) {
        state.withLock { state in
            state.generation += 1
            state.known.update(id) { $0 = nil }
        }
    }

    /// The same for all sessions of an account.
    public func forgetSessions(of account: String) {
        state.withLock { state in
            state.generation += 1
            state.known.updateAll { known in
                if known?.last?.signedIn.account.id.equalsUTF8(account) == true { known?.last = nil }
            }
        }
    }

    /// Once. If there are more sessions than the directory has room for, some are not listed.
    func list() async {
        guard !state.withLock({ $0.hasListed }) else { return }
        var last: String?
        for _ in 0..<Self.maximumSessions / Record.longestList {
            let before = last
            let result = await elapsed.read(.records, within: Self.listLimit) { [store] () async throws(StoreError) in
                try await store.records(.session, of: nil, before: before, limit: Record.longestList)
            }
            // The next round begins again.
            guard case .success(let records) = result else { return }
            let now = clock.now()
            for session in records.compactMap({ try? Session($0) }) where session.expiresAt > now { expect(session) }
            last = records.last?.id
            if records.count < Record.longestList { break }
        }
        state.withLock { $0.hasListed = true }
    }

    // MARK: Reading

    private func read(_ reading: Reading, isKnown: Bool, from peer: String) async throws(SessionRefusal) -> SignedIn {
        let begun = elapsed.now()
        if !isKnown, let wait = state.withLock({ $0.unknown.take(peer, at: begun) }) { throw .tooManyUnknown(retryAfter: wait) }
        let result = await elapsed.read(.record, within: Self.readLimit) { () async throws(StoreError) in
            try await self.find(reading.digest)
        }
        guard case .success(let found) = result else { throw .unavailable }
        guard let found else {
            state.withLock { state in state.known.update(reading.digest.keyID) { $0 = nil } }
            throw .unknown
        }
        expect(found.signedIn.session)
        state.withLock { state in
            if !isKnown { state.unknown.giveBack(peer) }
            guard state.generation == reading.generation else { return }
            state.known.set(
                Known(digest: reading.digest, last: (signedIn: found.signedIn, readAt: begun)), for: found.signedIn.session.id)
        }
        if let use = found.use {
            // If it fails, the next read tries again. A session that was removed meanwhile is not written.
            _ = await elapsed.read(.writeRecord, within: Self.writeLimit) { [store] () async throws(StoreError) in
                try await store.write(use)
            }
        }
        return found.signedIn
    }

    private func find(_ digest: KeyDigest) async throws(StoreError) -> Found? {
        let now = clock.now()
        guard let record = try await store.record(.session, digest.keyID) else { return nil }
        var session = try Session(record)
        guard session.digest == digest, session.expiresAt > now, let account = try await store.account(session.account),
            account.disabledAt == nil, account.epoch.equalsUTF8(session.epoch)
        else { return nil }
        // The time of use is stored to the hour.
        let hour = Timestamp(hour: now.hour)
        guard session.seenAt < hour else { return Found(signedIn: SignedIn(account: account, session: session)) }
        session.seenAt = hour
        return Found(
            signedIn: SignedIn(account: account, session: session), use: try session.record(revision: record.revision &+ 1))
    }
}

extension SessionRefusal {
    fileprivate var reason: AccessMetrics.Refusal {
        switch self {
        case .unknown: .invalidSession
        case .tooManyUnknown: .tooManyAttempts
        case .unavailable: .storeUnavailable
        }
    }
}

extension RecordStore {
    func account(_ id: String) async throws(StoreError) -> Account? {
        guard let record = try await record(.account, id) else { return nil }
        return try Account(record)
    }
}
