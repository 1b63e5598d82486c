import AnalyticsCore
import Testing

/// What holds between several publishers, consumers, queues and openings of one broker.
@Suite("Broker contract: several at once", .timeLimit(.minutes(3)))
struct BrokerSharingTests {
    @Test("Two consumers share the queue: each message goes to one of them", arguments: BrokerBackend.available)
    func sharesTheQueue(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let broker = subject.broker
            let consumers = [DeliveryCollector(broker, prefetch: 5), DeliveryCollector(broker, prefetch: 5)]
            _ = await broker.publish((0..<10).map { message(body($0)) }, to: .events)
            try await consumers[0].first(5)
            try await consumers[1].first(5)
            #expect(consumers.flatMap(\.bodies).count == 10)
            #expect(Set(consumers.flatMap(\.bodies)) == Set((0..<10).map(body)))

            // What the one held goes to the other once it has room.
            await consumers[0].stop()
            consumers[1].acknowledge(consumers[1].deliveries)
            try await consumers[1].first(10)
            #expect(Set(consumers[1].bodies) == Set((0..<10).map(body)))
            await consumers[1].stop()
        }
    }

    @Test("Sixteen tasks publish at once: all is confirmed, all arrives once", arguments: BrokerBackend.available)
    func publishesConcurrently(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let broker = subject.broker
            let outcomes = await withTaskGroup(of: [PublishOutcome].self) { group in
                for publisher in 0..<16 {
                    group.addTask {
                        var outcomes: [PublishOutcome] = []
                        for round in 0..<10 {
                            let bodies = (0..<5).map { body(publisher * 1000 + round * 5 + $0) }
                            outcomes += await broker.publish(bodies.map(message), to: .events)
                        }
                        return outcomes
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes == Array(repeating: .confirmed, count: 800))

            let consumer = DeliveryCollector(broker, prefetch: 100)
            try await acknowledgeAll(consumer, count: 800)
            #expect(Set(consumer.bodies).count == 800)
            try await expectDepths(broker, ready: 0, unacknowledged: 0)
            await consumer.stop()
        }
    }

    @Test("Dead letters are a queue of their own", arguments: BrokerBackend.available)
    func keepsDeadLettersApart(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let consumer = DeliveryCollector(subject.broker, prefetch: 10)
            #expect(await subject.broker.publish([message(body(1)), message(body(2))], to: .deadLetters) == [.confirmed, .confirmed])
            _ = await subject.broker.publish([message(body(3))], to: .events)
            try await consumer.first(1)
            #expect(consumer.bodies == [body(3)])
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 1, dead: 2)
            await consumer.stop()
        }
    }

    @Test("Depths say what waits, what is out, and what is dead", arguments: BrokerBackend.available)
    func countsDepths(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let broker = subject.broker
            try await expectDepths(broker, ready: 0, unacknowledged: 0)
            try await broker.checkHealth()
            _ = await broker.publish((0..<7).map { message(body($0)) }, to: .events)
            _ = await broker.publish([message(body(99))], to: .deadLetters)
            try await expectDepths(broker, ready: 7, unacknowledged: 0, dead: 1)

            let consumer = DeliveryCollector(broker, prefetch: 4)
            let deliveries = try await consumer.first(4)
            try await expectDepths(broker, ready: 3, unacknowledged: 4, dead: 1)
            await consumer.stop()
            try await expectDepths(broker, ready: 7, unacknowledged: 0, dead: 1)
            consumer.acknowledge(deliveries)
            try await expectDepths(broker, ready: 7, unacknowledged: 0, dead: 1)
        }
    }

    @Test("What was confirmed is there after closing and opening again", arguments: BrokerBackend.available)
    func survivesReopening(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<6).map { message(body($0)) }, to: .events)
            _ = await subject.broker.publish([message(body(99))], to: .deadLetters)
            let before = DeliveryCollector(subject.broker, prefetch: 4)
            let deliveries = try await before.first(4)
            before.acknowledge([deliveries[0], deliveries[2]])
            // The acknowledgements make room for the other two.
            try await before.first(6)
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 4, dead: 1)
            // Goes away with the consumer still there, and its messages out.
            try await subject.reopen()

            try await expectDepths(subject.broker, ready: 4, unacknowledged: 0, dead: 1)
            let after = DeliveryCollector(subject.broker, prefetch: 10)
            try await after.first(4)
            let redeliveries = Dictionary(uniqueKeysWithValues: after.deliveries.map { ($0.body, $0.redeliveries) })
            #expect(redeliveries == [body(1): 1, body(3): 1, body(4): 1, body(5): 1])
            await after.stop()
            await before.stop()
        }
    }
}
