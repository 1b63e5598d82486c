import TestSupport
import Testing

@testable import AnalyticsCore

@Suite("Broker contract: joined messages", .timeLimit(.minutes(3)))
struct JoinedMessageContractTests {
    @Test("Small requests sent at once are each confirmed and delivered once, in fewer messages", arguments: BrokerBackend.available)
    func joinsUnderLoad(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let broker = subject.broker
            let ids = (0..<400).map { "e\($0)" }
            let outcomes = await withTaskGroup(of: [PublishOutcome].self) { group in
                for id in ids { group.addTask { await broker.publish([Self.request(id)], to: .events) } }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes == Array(repeating: .confirmed, count: ids.count))

            let consumer = DeliveryCollector(subject.broker, prefetch: 500)
            let decoder = EnvelopeDecoder()
            var found: [String] = []
            var messages = 0
            while found.count < ids.count {
                messages += 1
                let delivery = try await consumer.first(messages)[messages - 1]
                found += try decoder.sections(of: delivery.body).flatMap(\.events).map(\.id)
            }
            #expect(found.sorted() == ids.sorted())
            // Tests read single messages back from the broker in memory.
            #expect(backend == .memory ? messages == ids.count : messages < ids.count)
            consumer.acknowledge(consumer.deliveries)
            await consumer.stop()
        }
    }

    private static func request(_ id: String) -> OutgoingMessage {
        var encoder = EnvelopeEncoder(request: "r-\(id)", origin: RequestOrigin())
        let event = Event(
            project: Project.default, id: id, type: "t", source: "s", timestamp: noon, receivedAt: noon, ingestID: "r-\(id):0")
        encoder.append(event, index: 0)
        return encoder.finish()[0]
    }
}
