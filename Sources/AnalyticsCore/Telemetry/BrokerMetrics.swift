internal import Metrics

/// The operations of the broker's ports that are timed.
public enum BrokerOperation: String, PortOperation {
    case publish
    case depths
    case deadLetters = "dead_letters"
    case checkHealth = "check_health"

    public static let port = "broker"
}

/// What each adapter of the broker measures: the time of its operations, and what the broker confirmed.
public struct BrokerMetrics: Sendable {
    public let timers = OperationTimers<BrokerOperation>()
    private let published = Dictionary(
        uniqueKeysWithValues: QueueName.allCases.map { queue in
            let label = queue == .events ? "events" : "dead_letters"
            return (queue, Counter(label: "analytics_queue_published_total", dimensions: [("destination", label)]))
        })

    public init() {
        QueueMetrics.prepare()
    }

    /// Times a publish and counts what was confirmed. One with an unconfirmed message is a failure.
    public func publish(to queue: QueueName, _ body: () async -> [PublishOutcome]) async -> [PublishOutcome] {
        let outcomes = await timers.time(.publish, body)
        let confirmed = outcomes.count { $0 == .confirmed }
        published[queue]?.increment(by: confirmed)
        if confirmed < outcomes.count { timers.failed(.publish) }
        return outcomes
    }
}
