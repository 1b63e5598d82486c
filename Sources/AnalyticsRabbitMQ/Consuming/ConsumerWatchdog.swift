import AnalyticsCore

/// Detects a consumer that the queue no longer knows.
///
/// The broker may lose a consumer without a notice, see ``TopologyDeclaration``; it would wait forever. So the queue is inspected
/// periodically. The connection is closed if the queue has no consumers, or if two checks in a row find messages that wait although
/// the prefetch has room and none was delivered.
struct ConsumerWatchdog {
    private(set) var due: Instant?
    private var hasDelivered = false
    private var isSuspect = false

    mutating func delivered() { hasDelivered = true }

    /// Whether to check now.
    mutating func isDue(now: Instant, every interval: Duration) -> Bool {
        guard let due, now < due else {
            defer { due = now + interval }
            return due != nil
        }
        return false
    }

    /// The result of a check; `hasRoom` if the prefetch allows another delivery.
    mutating func seen(ready: Int, consumers: Int, hasRoom: Bool) throws(BrokerError) {
        let isStalled = ready > 0 && hasRoom && !hasDelivered
        if consumers == 0 || isStalled && isSuspect {
            throw BrokerError(.unavailable, "the queue no longer knows its consumer")
        }
        isSuspect = isStalled
        hasDelivered = false
    }
}
