internal import CoreMetrics
internal import Metrics

/// Any broker, with every operation timed and every message counted.
public struct TimedBroker: EventPublisher, EventConsumer, QueueInspector {
    private let broker: any Broker
    private let timers = OperationTimers(port: "broker", operations: ["publish", "acknowledge", "depths", "check_health"])
    private let published = Dictionary(
        uniqueKeysWithValues: QueueName.allCases.map { queue in
            let label = queue == .events ? "events" : "dead_letters"
            return (queue, Counter(label: "analytics_queue_published_total", dimensions: [("destination", label)]))
        })
    private let delivered = Counter(label: "analytics_queue_delivered_total")
    private let acknowledged = Counter(label: "analytics_queue_acknowledged_total")

    public init(_ broker: any Broker) {
        self.broker = broker
    }

    public func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        let outcomes = await timers.time("publish") { await broker.publish(messages, to: queue) }
        let confirmed = outcomes.count { $0 == .confirmed }
        published[queue]?.increment(by: confirmed)
        if confirmed < outcomes.count { timers.failed("publish") }
        return outcomes
    }

    public func deliveries(prefetch: Int) -> AsyncStream<Delivery> {
        let (stream, continuation) = AsyncStream.makeStream(of: Delivery.self)
        let deliveries = broker.deliveries(prefetch: prefetch)
        let delivered = delivered
        // Unbounded as a stream; what is in it is bounded by the prefetch of the broker behind it.
        let task = Task {
            for await delivery in deliveries {
                delivered.increment()
                continuation.yield(delivery)
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    public func acknowledge(_ handles: [DeliveryHandle]) async {
        await timers.time("acknowledge") { await broker.acknowledge(handles) }
        acknowledged.increment(by: handles.count)
    }

    public func depths() async throws(BrokerError) -> QueueDepths {
        try await timers.time("depths") { () throws(BrokerError) in try await broker.depths() }
    }

    public func checkHealth() async throws(BrokerError) {
        try await timers.time("check_health") { () throws(BrokerError) in try await broker.checkHealth() }
    }
}
