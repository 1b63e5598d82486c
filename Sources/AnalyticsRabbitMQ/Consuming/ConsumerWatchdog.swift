import AnalyticsCore

/// Notices a consumer that the queue does not know any more.
///
/// The broker may lose a consumer without telling it, see ``TopologyDeclaration``; it would wait for ever. So the queue is looked at
/// from time to time: no consumers at all, or messages that wait while there is room for them and twice in a row none has come, end
/// the connection.
struct ConsumerWatchdog {
    private(set) var due: Instant?
    private var hasDelivered = false
    private var isSuspect = false

    mutating func delivered() { hasDelivered = true }

    /// Whether to look now.
    mutating func isDue(now: Instant, every interval: Duration) -> Bool {
        guard let due, now < due else {
            defer { due = now + interval }
            return due != nil
        }
        return false
    }

    /// What a look has shown; `hasRoom` when the prefetch would allow another delivery.
    mutating func seen(ready: Int, consumers: Int, hasRoom: Bool) throws(BrokerError) {
        let isStalled = ready > 0 && hasRoom && !hasDelivered
        if consumers == 0 || isStalled && isSuspect {
            throw BrokerError(.unavailable, "the queue does not know its consumer any more")
        }
        isSuspect = isStalled
        hasDelivered = false
    }
}
