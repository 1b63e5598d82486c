import AnalyticsCore
import TestSupport
import Testing

/// What every broker promises, on each of them.
@Suite("Broker contract", .timeLimit(.minutes(3)))
struct BrokerContractTests {
    @Test("What is published is confirmed and delivered byte for byte", arguments: BrokerBackend.available)
    func deliversTheExactBytes(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let bodies: [[UInt8]] = [
                Array(0...255), [], [0], Array("{\"a\":\"ü\"}".utf8), (0..<256 * 1024).map { UInt8(truncatingIfNeeded: $0 &* 31) },
            ]
            let outcomes = await subject.broker.publish(bodies.map(message), to: .events)
            #expect(outcomes == Array(repeating: .confirmed, count: bodies.count))

            let consumer = DeliveryCollector(subject.broker, prefetch: 10)
            let deliveries = try await consumer.first(bodies.count)
            #expect(deliveries.map(\.body) == bodies)
            #expect(deliveries.allSatisfy { $0.redeliveries == 0 })
            await consumer.stop()
        }
    }

    @Test("Publishing nothing gives no outcomes", arguments: BrokerBackend.available)
    func publishesNothing(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            #expect(await subject.broker.publish([], to: .events).isEmpty)
        }
    }

    @Test("One consumer gets messages in the order in which they were published", arguments: BrokerBackend.available)
    func keepsTheOrder(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let consumer = DeliveryCollector(subject.broker, prefetch: 50)
            var expected: [[UInt8]] = []
            for round in 0..<4 {
                let bodies = (0..<250).map { body(round * 250 + $0) }
                #expect(await subject.broker.publish(bodies.map(message), to: .events).allSatisfy { $0 == .confirmed })
                expected += bodies
            }
            try await acknowledgeAll(consumer, count: expected.count)
            #expect(consumer.bodies == expected)
            await consumer.stop()
        }
    }

    @Test("A consumer that is there first gets what is published later", arguments: BrokerBackend.available)
    func wakesAWaitingConsumer(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let consumer = DeliveryCollector(subject.broker, prefetch: 10)
            for number in 1...5 {
                _ = await subject.broker.publish([message(body(number))], to: .events)
                try await consumer.first(number)
            }
            #expect(consumer.bodies == (1...5).map(body))
            await consumer.stop()
        }
    }

    @Test("No more than the prefetch is out unacknowledged; acknowledging lets more come", arguments: BrokerBackend.available)
    func holdsThePrefetch(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<10).map { message(body($0)) }, to: .events)
            let consumer = DeliveryCollector(subject.broker, prefetch: 3)
            let first = try await consumer.first(3)
            try await expectDepths(subject.broker, ready: 7, unacknowledged: 3)
            #expect(await subject.broker.publish([message(body(10))], to: .events) == [.confirmed])
            try await expectDepths(subject.broker, ready: 8, unacknowledged: 3)
            #expect(consumer.deliveries.count == 3)

            consumer.acknowledge(first.prefix(2))
            try await consumer.first(5)
            try await expectDepths(subject.broker, ready: 6, unacknowledged: 3)
            #expect(consumer.deliveries.count == 5)
            await consumer.stop()
        }
    }

    @Test("What is acknowledged is gone for good", arguments: BrokerBackend.available)
    func forgetsTheAcknowledged(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<20).map { message(body($0)) }, to: .events)
            let consumer = DeliveryCollector(subject.broker, prefetch: 20)
            let deliveries = try await consumer.first(20)
            // Every other one, and not in their order.
            let done = deliveries.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
            consumer.acknowledge(done.reversed())
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 10)
            await consumer.stop()

            let next = DeliveryCollector(subject.broker, prefetch: 20)
            try await next.first(10)
            #expect(Set(next.bodies) == Set(stride(from: 1, to: 20, by: 2).map(body)))
            next.acknowledge(next.deliveries)
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 0)
            await next.stop()
        }
    }

    @Test("What is not acknowledged comes again when its consumer goes, and says how often", arguments: BrokerBackend.available)
    func deliversAgain(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<5).map { message(body($0)) }, to: .events)
            for round in 0..<3 {
                let consumer = DeliveryCollector(subject.broker, prefetch: 5)
                let deliveries = try await consumer.first(5)
                #expect(Set(deliveries.map(\.body)) == Set((0..<5).map(body)))
                #expect(deliveries.allSatisfy { $0.redeliveries == round })
                await consumer.stop()
            }
        }
    }

    @Test("Acknowledging twice, or under the handle of a consumer that is gone, does nothing", arguments: BrokerBackend.available)
    func passesOverStaleHandles(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<3).map { message(body($0)) }, to: .events)
            let gone = DeliveryCollector(subject.broker, prefetch: 3)
            let stale = try await gone.first(3)
            gone.acknowledge([stale[0]])
            gone.acknowledge([stale[0], stale[0]])
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 2)
            await gone.stop()

            let consumer = DeliveryCollector(subject.broker, prefetch: 3)
            let again = try await consumer.first(2)
            #expect(Set(again.map(\.body)) == [body(1), body(2)])
            gone.acknowledge(stale)
            consumer.acknowledge(stale)
            consumer.sessions[0].acknowledge([
                DeliveryHandle(epoch: 0, tag: 1), DeliveryHandle(epoch: again[0].handle.epoch, tag: 0),
                DeliveryHandle(epoch: again[0].handle.epoch, tag: .max), DeliveryHandle(epoch: .max, tag: .max),
            ])
            // The consumer still works, and what it holds is still its own.
            _ = await subject.broker.publish([message(body(3))], to: .events)
            #expect(try await consumer.first(3).last?.body == body(3))
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 3)
            await consumer.stop()
        }
    }

    @Test("Cancelling the task that consumes ends its consumer", arguments: BrokerBackend.available)
    func endsWhenCancelled(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let consumer = DeliveryCollector(subject.broker, prefetch: 5)
            _ = await subject.broker.publish([message(body(0))], to: .events)
            try await consumer.first(1)
            await consumer.stop()
            try await expectDepths(subject.broker, ready: 1, unacknowledged: 0)
        }
    }

    @Test("A consumer that stops delivers nothing more; what was taken can still be acknowledged", arguments: BrokerBackend.available)
    func stops(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<5).map { message(body($0)) }, to: .events)
            try await subject.broker.withConsumer(prefetch: 3) { consumer in
                try await consumer.forEachSession { session in
                    var taken: [Delivery] = []
                    for await delivery in session {
                        taken.append(delivery)
                        if taken.count == 2 { consumer.stop() }
                    }
                    #expect(taken.map(\.body) == [body(0), body(1)])
                    session.acknowledge(taken.map(\.handle))
                }
            }
            try await expectDepths(subject.broker, ready: 3, unacknowledged: 0)
        }
    }

    @Test("What was acknowledged when the scope ends is gone, though the broker is closed at once", arguments: BrokerBackend.available)
    func sendsAcknowledgementsBeforeItEnds(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish((0..<100).map { message(body($0)) }, to: .events)
            try await subject.broker.withConsumer(prefetch: 100) { consumer in
                try await consumer.forEachSession { session in
                    var taken: [DeliveryHandle] = []
                    for await delivery in session {
                        taken.append(delivery.handle)
                        if taken.count == 100 { break }
                    }
                    session.acknowledge(taken)
                }
            }
            try await subject.reopen()
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 0)
        }
    }
}

func message(_ body: [UInt8]) -> OutgoingMessage { OutgoingMessage(body: body, events: 1) }

func body(_ number: Int) -> [UInt8] { Array("{\"number\":\(number)}".utf8) }

func expectDepths(
    _ broker: any Broker, ready: Int, unacknowledged: Int, dead: Int = 0, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let expected = QueueDepths(ready: ready, unacknowledged: unacknowledged, dead: dead)
    try await eventually("\(expected)", sourceLocation: sourceLocation) { try await broker.depths() == expected }
}

/// Acknowledges whatever has come, until `count` deliveries have.
func acknowledgeAll(_ consumer: DeliveryCollector, count: Int) async throws {
    var done = 0
    while done < count {
        try await consumer.first(done + 1)
        let deliveries = consumer.deliveries
        consumer.acknowledge(deliveries[done...])
        done = deliveries.count
    }
}
