/// Slows down guesses of passwords and codes. A state machine without I/O: the times passed in are of an ``ElapsedClock``.
///
/// Failures are counted for an account from one network, for a network, and for an account. After some of them each further attempt waits
/// twice as long as the one before, the right password too. Nothing is locked: a lock would let anyone shut out an owner.
///
/// In an attempt that is familiar, the account has signed in from this network before, or is signed in. Then only what was done from this
/// network counts, so nobody elsewhere delays the owner of an account.
struct AttemptLimiter: Sendable {
    enum Outcome: Sendable {
        case success
        case failure
        /// Neither: nothing was compared, or it was right and more is asked for.
        case withdrawn
    }

    static let longestWait: Duration = .seconds(900)
    /// Failures are forgotten after so long without one.
    static let memory: Duration = .seconds(3_600)
    /// Accounts, as many networks, and as many pairs.
    static let maximumKeys = 10_000
    /// Tokens per second. They limit the attempts of a pair, right ones too, because each costs a hash: ten at once, then one per 6 s.
    private static let tokens = TokenBucket(rate: 1, burst: 60)
    private static let tokensPerAttempt = 6

    private var pairs = Failures<AccountPlace>(allowed: 5)
    private var networks = Failures<[UInt8]>(allowed: 20)
    private var accounts = Failures<String>(allowed: 100)
    private var buckets = BoundedMap<AccountPlace, TokenBucket>(limit: Self.maximumKeys)

    /// The time until the attempt may be made; `nil` if it may be made now. Then ``end(_:isFamiliar:_:at:)`` must follow.
    mutating func begin(_ place: AccountPlace, isFamiliar: Bool, at now: Duration) -> Duration? {
        var bucket = buckets.use(place) ?? Self.tokens
        var wait = max(bucket.wait(for: Self.tokensPerAttempt, at: now), pairs.wait(place, at: now))
        if !isFamiliar { wait = max(wait, networks.wait(place.network, at: now), accounts.wait(place.account, at: now)) }
        guard wait == .zero else { return wait }
        _ = bucket.take(Self.tokensPerAttempt, at: now)
        buckets.set(bucket, for: place)
        pairs.begin(place)
        guard !isFamiliar else { return nil }
        networks.begin(place.network)
        accounts.begin(place.account)
        return nil
    }

    /// A success clears the failures of the account from this network.
    mutating func end(_ place: AccountPlace, isFamiliar: Bool, _ outcome: Outcome, at now: Duration) {
        let isFailure = outcome == .failure
        pairs.end(place, isFailure: isFailure, clears: outcome == .success, at: now)
        guard !isFamiliar else { return }
        networks.end(place.network, isFailure: isFailure, at: now)
        accounts.end(place.account, isFailure: isFailure, at: now)
    }
}

private struct Failures<Key: Hashable & Sendable>: Sendable {
    private struct Known: Sendable {
        var count: Int
        /// When the last one was.
        var last: Duration

        func count(at now: Duration) -> Int { now - last < AttemptLimiter.memory ? count : 0 }
    }

    /// So many are free.
    private let allowed: Int
    private var known: [Key: Known] = [:]
    /// Attempts that have begun and not ended.
    private var running: [Key: Int] = [:]

    init(allowed: Int) {
        self.allowed = allowed
    }

    func wait(_ key: Key, at now: Duration) -> Duration {
        let (count, running) = (known[key]?.count(at: now) ?? 0, self.running[key] ?? 0)
        guard count + running >= allowed else { return .zero }
        // One at a time from here on: what runs may fail.
        guard running == 0, let last = known[key]?.last else { return .seconds(1) }
        let pause = min(Duration.seconds(1 << min(count - allowed, 10)), AttemptLimiter.longestWait)
        return max(.zero, last + pause - now)
    }

    mutating func begin(_ key: Key) { running[key, default: 0] += 1 }

    mutating func end(_ key: Key, isFailure: Bool, clears: Bool = false, at now: Duration) {
        running[key] = running[key].flatMap { $0 > 1 ? $0 - 1 : nil }
        if clears { known[key] = nil }
        guard isFailure else { return }
        if known[key] == nil, known.count >= AttemptLimiter.maximumKeys { forgetLeast(at: now) }
        known[key] = Known(count: (known[key]?.count(at: now) ?? 0) + 1, last: now)
    }

    /// Not the one that was used least recently: a flood of failures of others would let an account be guessed at without a wait.
    private mutating func forgetLeast(at now: Duration) {
        let least = known.min { ($0.value.count(at: now), $0.value.last) < ($1.value.count(at: now), $1.value.last) }
        if let least { known[least.key] = nil }
    }
}
