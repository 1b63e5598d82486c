internal import Metrics

/// The operations of the broker's ports that are timed.
public enum BrokerOperation: String, PortOperation {
    case publish
    case depths
    case deadLetters = "dead_letters"
    case checkHealth = "check_health"

    package static let durations = MetricCatalogue.metrics.brokerOperationDuration
    package static let errors = MetricCatalogue.metrics.brokerErrors
}

/// What each adapter of the broker measures: the time of its operations, and what the broker confirmed.
package struct BrokerMetrics: Sendable {
    package let timers = OperationTimers<BrokerOperation>()
    private let published = Dictionary(
        uniqueKeysWithValues: QueueName.allCases.map { queue in
            let label = queue == .events ? "events" : "dead_letters"
            return (queue, MetricCatalogue.metrics.queuePublished.make(label))
        })

    package init() {
        QueueMetrics.prepare()
    }

    /// Times a publish and counts what was confirmed. One with an unconfirmed message is a failure.
    package func publish(to queue: QueueName, _ body: () async -> [PublishOutcome]) async -> [PublishOutcome] {
        let outcomes = await timers.time(.publish, body)
        let confirmed = outcomes.count { $0 == .confirmed }
        published[queue]?.increment(by: confirmed)
        if confirmed < outcomes.count { timers.failed(.publish) }
        return outcomes
    }
}
