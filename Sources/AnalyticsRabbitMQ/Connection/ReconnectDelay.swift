import AnalyticsCore

/// Decides the delay before the next attempt to connect: none after a connection that was stable, otherwise ``Backoff``.
struct ReconnectDelay {
    /// A connection that broke sooner counts as a failed attempt. Otherwise it would be reopened in a tight loop.
    private static let provenAfter = Duration.seconds(2)

    private var backoff = Backoff(first: .milliseconds(200), cap: .seconds(5))
    private var hasFailed = false

    /// `lifetime`: how long the connection was open; `nil` if there was none.
    mutating func next(afterLifetime lifetime: Duration?, using random: inout some RandomNumberGenerator) -> Duration {
        if let lifetime, lifetime >= Self.provenAfter {
            backoff.reset()
            hasFailed = false
        }
        defer { hasFailed = true }
        return lifetime != nil && !hasFailed ? .zero : backoff.next(using: &random)
    }
}
