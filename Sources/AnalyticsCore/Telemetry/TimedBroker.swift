internal import CoreMetrics
internal import Metrics

/// Any broker, with every operation timed and every published message counted.
public struct TimedBroker: EventPublisher, EventConsumer, QueueInspector {
    private let broker: any Broker
    private let timers = OperationTimers(port: "broker", operations: ["publish", "depths", "check_health"])
    private let published = Dictionary(
        uniqueKeysWithValues: QueueName.allCases.map { queue in
            let label = queue == .events ? "events" : "dead_letters"
            return (queue, Counter(label: "analytics_queue_published_total", dimensions: [("destination", label)]))
        })

    public init(_ broker: any Broker) {
        self.broker = broker
        QueueMetrics.prepare()
    }

    public func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        let outcomes = await timers.time("publish") { await broker.publish(messages, to: queue) }
        let confirmed = outcomes.count { $0 == .confirmed }
        published[queue]?.increment(by: confirmed)
        if confirmed < outcomes.count { timers.failed("publish") }
        return outcomes
    }

    /// A ``DeliverySession`` counts what passes it.
    public func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws {
        try await broker.withConsumer(prefetch: prefetch, body)
    }

    public func depths() async throws(BrokerError) -> QueueDepths {
        try await timers.time("depths") { () throws(BrokerError) in try await broker.depths() }
    }

    public func checkHealth() async throws(BrokerError) {
        try await timers.time("check_health") { () throws(BrokerError) in try await broker.checkHealth() }
    }
}
