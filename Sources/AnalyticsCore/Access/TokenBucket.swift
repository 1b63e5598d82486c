/// Tokens that come at a steady rate, up to a limit. Full at the start. Pure: the times passed in are of an ``ElapsedClock``.
///
/// More tokens than the bucket holds are given when it is full. The debt is paid off before anything else is given; it is at most
/// ``longestDebt``, so that one large request does not silence a project for hours.
struct TokenBucket: Sendable, Equatable {
    /// Tokens per second.
    let rate: Int
    /// Tokens in the full bucket.
    let burst: Int
    static let longestDebt: Duration = .seconds(60)
    /// When it is full again; in the past if it is full.
    private var fullAt = Duration.zero

    /// - Parameter burst: `nil` for one second's worth.
    init(rate: Int, burst: Int? = nil) {
        self.rate = rate
        self.burst = burst ?? rate
    }

    /// The time until so many tokens can be taken; zero if they can be taken now.
    ///
    /// - Parameter others: Tokens that are taken before.
    func wait(for count: Int, after others: Int = 0, at now: Duration) -> Duration {
        max(.zero, missing(at: now) + time(of: others) + time(of: min(count, burst)) - time(of: burst))
    }

    /// Takes the tokens if they are there.
    mutating func take(_ count: Int, at now: Duration) -> Rate {
        let wait = wait(for: count, at: now)
        if wait == .zero { fullAt = min(max(fullAt, now) + time(of: count), now + time(of: burst) + Self.longestDebt) }
        return Rate(limit: rate, remaining: remaining(at: now), retryAfter: wait == .zero ? nil : wait)
    }

    /// After ``take(_:at:)``: takes less.
    mutating func giveBack(_ count: Int) { fullAt -= time(of: count) }

    /// It is full at this time if nothing is taken.
    mutating func fill(at time: Duration) { fullAt = time }

    /// The time until it is full.
    func missing(at now: Duration) -> Duration { max(.zero, fullAt - now) }

    /// The time in which so many tokens come.
    private func time(of count: Int) -> Duration { Duration.seconds(1) * max(0, count) / rate }

    /// Tokens that can be taken now.
    func remaining(at now: Duration) -> Int {
        let free = max(.zero, time(of: burst) - missing(at: now))
        // `time(of:)` drops less than an attosecond.
        return Int(clamping: (free.attoseconds * Int128(rate) + Int128(rate - 1)) / 1_000_000_000_000_000_000)
    }
}
