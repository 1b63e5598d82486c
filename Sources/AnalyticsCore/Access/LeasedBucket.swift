internal import DequeModule

/// What one process knows of a bucket that several share. Its requests use tokens that were leased before they came.
///
/// Pure: the caller asks the store for what ``lease(at:)`` returns, and passes the answer to ``leased(_:asked:at:)``. The times passed in
/// are of one ``ElapsedClock``. The rules and what follows from them: docs/decisions/rates.md.
struct LeasedBucket<Waiter: Sendable>: Sendable {
    private struct Request {
        var count: Int
        var waiter: Waiter
    }

    /// Tokens that nobody has used are lost after this time, or when the shared bucket is full again if that is later.
    static var lifetime: Duration { .milliseconds(100) }
    /// A later answer does not count.
    static var patience: Duration { .milliseconds(100) }
    /// From a failure to the next attempt.
    static var pause: Duration { .milliseconds(100) }
    /// After an answer that has emptied the bucket, nothing is asked for this time: tokens come faster than answers, and each request of a
    /// flood would ask.
    static var quiet: Duration { .milliseconds(10) }

    private let name: String
    /// Everything that this process has admitted: it never exceeds the rate alone, whatever the store answers.
    private var own: TokenBucket
    /// The shared bucket as last known, without what waiting requests need. It may have less, but not more.
    private var shared: TokenBucket
    private var stock = TokenStock()
    private var demand = Demand()
    private var waiting: Deque<Request> = []
    /// What they need, all together. ``own`` keeps room for it: a request whose tokens are being leased must not be refused because of one
    /// that came later.
    private var promised = 0
    /// The first waiting requests, for which the running lease was asked; `nil` if none is running.
    private var flight: Int?
    private var quietUntil = Duration.zero
    /// If set, the store is not waited for: `own` decides alone, and the store is asked again at this time.
    private var retryAt: Duration?

    /// - Parameter isShared: If false, the store is never asked.
    init(name: String, rate: Int, isShared: Bool) {
        self.name = name
        own = TokenBucket(rate: rate)
        shared = own
        if !isShared { retryAt = .seconds(Int64.max) }
    }

    var rate: Int { own.rate }

    /// The answer to a request that cannot pass, as far as this process knows; otherwise `nil`.
    func refusal(of count: Int, at now: Duration) -> Rate? {
        var wait = own.wait(for: count, after: promised, at: now)
        if wait == .zero, retryAt == nil, stock.count(at: now) < count {
            wait = max(shared.wait(for: count, at: now), quietUntil - now)
        }
        return wait == .zero ? nil : refused(wait, at: now)
    }

    /// `nil` if the request has to ``wait(_:for:at:)`` for a lease. Nothing has changed then.
    mutating func take(_ count: Int, at now: Duration) -> Rate? {
        if let refusal = refusal(of: count, at: now) { return refusal }
        guard retryAt != nil || stock.take(count, at: now) else { return nil }
        demand.add(count, at: now)
        var rate = own.take(count, at: now)
        rate.remaining = remaining(at: now)
        return rate
    }

    /// Called if ``take(_:at:)`` has returned `nil`, at the same time. ``leased(_:asked:at:)`` returns the waiter with the answer.
    mutating func wait(_ waiter: Waiter, for count: Int, at now: Duration) {
        // No more wait than the bucket can have tokens for.
        _ = shared.take(count, at: now)
        promised += count
        waiting.append(Request(count: count, waiter: waiter))
    }

    /// What to ask the store for now, if anything. Called after each change.
    mutating func lease(at now: Duration) -> TokenRequest? {
        guard flight == nil else { return nil }
        guard let (least, most, requests) = needed(at: now) else { return nil }
        flight = requests
        return TokenRequest(bucket: name, rate: rate, least: least, most: most)
    }

    private func needed(at now: Duration) -> (least: Int, most: Int, requests: Int)? {
        if let retryAt {
            guard retryAt <= now else { return nil }
            return (1, 1, 0)
        }
        let useful = min(rate / 10, demand.tokens(at: now))
        let stocked = stock.count(at: now)
        let missing = max(0, useful - stocked)
        if let first = waiting.first {
            // A large one has a lease of its own: a part of what it needs would be granted, and lost.
            let together = first.count > mostKept ? waiting.prefix(1) : waiting.prefix { $0.count <= mostKept }
            return (first.count, together.reduce(missing) { $0 + $1.count }, together.count)
        }
        // Before the stock is used up, so that no request waits.
        guard stocked < useful / 2, quietUntil <= now, shared.wait(for: missing, at: now) == .zero else { return nil }
        return (missing, missing, 0)
    }

    /// Tokens of a lease that may be left when requests were refused.
    private var mostKept: Int { max(1, rate / 10) }

    /// Takes the answer to a lease, and returns the answers to the requests that need not wait any longer.
    ///
    /// - Parameters:
    ///   - lease: `nil` if the store gave none.
    ///   - asked: Before the store was asked.
    mutating func leased(_ lease: TokenLease?, asked: Duration, at now: Duration) -> [(waiter: Waiter, rate: Rate)] {
        let included = flight ?? 0
        flight = nil
        if let lease, now - asked <= Self.patience {
            retryAt = nil
            shared.fill(at: asked + lease.fullIn)
            if shared.remaining(at: asked) == 0 { quietUntil = now + Self.quiet }
            stock.add(lease.granted, until: asked + max(Self.lifetime, lease.fullIn))
        } else {
            retryAt = now + Self.pause
        }
        let requests = waiting
        waiting = []
        promised = 0
        var answers: [(waiter: Waiter, rate: Rate)] = []
        for (index, request) in requests.enumerated() {
            if let rate = take(request.count, at: now) {
                answers.append((request.waiter, rate))
            } else if index < included, index == 0 || (lease?.granted ?? 0) > 0 {
                // The store did not have enough for it. To ask again would let a request wait for ever.
                answers.append((request.waiter, refused(Self.quiet, at: now)))
            } else {
                wait(request.waiter, for: request.count, at: now)
            }
        }
        // The rest of what requests wanted that were refused meanwhile.
        stock.shortenLast(to: mostKept)
        return answers
    }

    private func refused(_ wait: Duration, at now: Duration) -> Rate {
        Rate(limit: rate, remaining: remaining(at: now), retryAfter: wait)
    }

    private func remaining(at now: Duration) -> Int {
        let own = max(0, own.remaining(at: now) - promised)
        return retryAt == nil ? min(own, shared.remaining(at: now) + stock.count(at: now)) : own
    }
}

/// Tokens that were leased and are not used yet. The oldest are used first.
private struct TokenStock {
    private struct Parcel {
        var count: Int
        var until: Duration
    }

    private var parcels: Deque<Parcel> = []

    func count(at now: Duration) -> Int { parcels.reduce(0) { $0 + ($1.until > now ? $1.count : 0) } }

    /// Returns false and takes nothing if there are not so many.
    mutating func take(_ count: Int, at now: Duration) -> Bool {
        parcels.removeAll { $0.until <= now }
        guard self.count(at: now) >= count else { return false }
        var missing = count
        while missing > 0 {
            let taken = min(missing, parcels[0].count)
            missing -= taken
            parcels[0].count -= taken
            if parcels[0].count == 0 { parcels.removeFirst() }
        }
        return true
    }

    mutating func add(_ count: Int, until: Duration) {
        if count > 0 { parcels.append(Parcel(count: count, until: until)) }
    }

    mutating func shortenLast(to count: Int) {
        guard let last = parcels.popLast() else { return }
        add(min(count, last.count), until: last.until)
    }
}

/// The tokens that requests have used in the present tenth of a second, or in the one before if those are more.
private struct Demand {
    private var tenth = 0
    private var current = 0
    private var previous = 0

    mutating func add(_ count: Int, at now: Duration) {
        turn(to: now)
        current += count
    }

    func tokens(at now: Duration) -> Int {
        var demand = self
        demand.turn(to: now)
        return max(demand.current, demand.previous)
    }

    private mutating func turn(to now: Duration) {
        let tenth = Int(now / Duration.milliseconds(100))
        guard tenth > self.tenth else { return }
        previous = tenth == self.tenth + 1 ? current : 0
        current = 0
        self.tenth = tenth
    }
}
