import Foundation
import Logging
import TestSupport
import Testing

@testable import AnalyticsCore

/// Deliveries that processors took and never finished, on real brokers and stores.
@Suite("Giving up", .timeLimit(.minutes(3)))
struct DeadLetteringTests {
    private static let backends: [(BrokerBackend, StoreBackend)] = [(.embedded, .sqlite), (.rabbitmq, .mongodb)]
        .filter { BrokerBackend.available.contains($0.0) && StoreBackend.available.contains($0.1) }

    @Test("Events that 60 processors stored and never marked are counted, and none of them is given up", arguments: backends)
    func storedAndNeverMarked(broker: BrokerBackend, store: StoreBackend) async throws {
        try await withBroker(broker) { subject in
            try await withStore(store) { store async throws in
                let events = (0..<20).map { index in
                    Event(
                        project: "p", id: "e\(index)", type: "view", source: "web", timestamp: noon + .seconds(index * 45),
                        receivedAt: noon, ingestID: "r:\(index)")
                }
                try await store.add(events.map { StoredEvent(event: $0, processedAt: noon, context: nil, fingerprint: $0.fingerprint) })
                var encoder = EnvelopeEncoder(request: "r", origin: RequestOrigin())
                for (index, event) in events.enumerated() { encoder.append(event, index: index) }
                #expect(await subject.broker.publish(encoder.finish(), to: .events) == [.confirmed])
                for _ in 0..<60 {
                    _ = try await DeliveryCollector(subject.broker, prefetch: 10).first(1)
                    try await subject.reopen()
                }
                // RabbitMQ puts back what a connection held some milliseconds after its end.
                try await expectDepths(subject.broker, ready: 1, unacknowledged: 0)
                try await processAll(subject.broker, store)
                let minutes = try await store.rollups(.minute, project: "p", in: [noon.minute..<noon.minute + 20])
                #expect(Set(minutes.filter(\.dirty).map(\.key.index)) == Set(events.map(\.timestamp.minute)))
                #expect(try await subject.broker.depths() == QueueDepths(ready: 0, unacknowledged: 0, dead: 0))
            }
        }
    }

    private func processAll(_ broker: any Broker, _ store: any Store) async throws {
        let clock = WallClock { noon }
        let processor = Processor(
            broker: broker, store: store, enrichments: [], clock: clock, makeID: .uuid7(clock: clock), logger: Logger(label: "test"))
        let running = Task { try await processor.run() }
        defer { running.cancel() }
        try await eventually("the queue is empty") {
            let depths = try await broker.depths()
            return depths.ready + depths.unacknowledged == 0
        }
    }
}
