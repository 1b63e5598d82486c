internal import Metrics

/// The timed operations of the broker's ports.
public enum BrokerOperation: String, PortOperation {
    case publish
    case depths
    case deadLetters = "dead_letters"
    case checkHealth = "check_health"

    package static let durations = MetricCatalogue.metrics.brokerOperationDuration
    package static let errors = MetricCatalogue.metrics.brokerErrors
}

/// Metrics of a broker adapter: the duration of its operations, and confirmed messages.
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

    /// Times a publish and counts confirmed messages. A publish with an unconfirmed message counts as failed.
    package func publish(to queue: QueueName, _ body: () async -> [PublishOutcome]) async -> [PublishOutcome] {
        let outcomes = await timers.time(.publish, body)
        let confirmed = outcomes.count { $0 == .confirmed }
        published[queue]?.increment(by: confirmed)
        if confirmed < outcomes.count { timers.failed(.publish) }
        return outcomes
    }
}
