/// Decides how long to wait before the next attempt to connect: not at all after a connection that had held, then from 0.2 s
/// doubling to 5 s, each shortened by up to a half at random so that many processes do not come back in step.
struct Backoff {
    private static let first = Duration.milliseconds(200)
    private static let limit = Duration.seconds(5)
    /// A connection that broke sooner than this counts as a failed attempt: it would otherwise be reopened in a tight loop.
    private static let provenAfter = Duration.seconds(2)

    private var next: Duration?

    /// `lifetime`: how long the connection had held, `nil` when there was none. `random` in 0..<1.
    mutating func delay(afterLifetime lifetime: Duration?, random: Double) -> Duration {
        if let lifetime, lifetime >= Self.provenAfter { next = nil }
        guard let delay = next else {
            next = Self.first
            return lifetime == nil ? growing(Self.first, random) : .zero
        }
        return growing(delay, random)
    }

    private mutating func growing(_ delay: Duration, _ random: Double) -> Duration {
        next = min(delay * 2, Self.limit)
        return delay * (1 - random / 2)
    }
}
