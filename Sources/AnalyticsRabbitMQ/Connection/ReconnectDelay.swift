import AnalyticsCore

/// Decides how long to wait before the next attempt to connect: not at all after a connection that had held, else with ``Backoff``.
struct ReconnectDelay {
    /// A connection that broke sooner than this counts as a failed attempt: it would otherwise be reopened in a tight loop.
    private static let provenAfter = Duration.seconds(2)

    private var backoff = Backoff(first: .milliseconds(200), cap: .seconds(5))
    private var hasFailed = false

    /// `lifetime`: how long the connection had held, `nil` when there was none.
    mutating func next(afterLifetime lifetime: Duration?, using random: inout some RandomNumberGenerator) -> Duration {
        if let lifetime, lifetime >= Self.provenAfter {
            backoff.reset()
            hasFailed = false
        }
        defer { hasFailed = true }
        return lifetime != nil && !hasFailed ? .zero : backoff.next(using: &random)
    }
}
