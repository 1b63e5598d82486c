import AnalyticsCore
import Logging
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: the adapter on a broker that works", .enabled(if: rabbitMQURL != nil), .timeLimit(.minutes(2)))
struct RabbitMQBrokerTests {
    private let url = rabbitMQURL ?? ""

    @Test("When the queue is deleted no message is confirmed falsely, and publisher and consumer go on with a new one")
    func survivesADeletedQueue() async throws {
        try await withRabbitMQ(url) { broker, names in
            let consumer = DeliveryCollector(broker, prefetch: 10)
            #expect(await broker.publish([message(body(1))], to: .events) == [.confirmed])
            consumer.acknowledge(try await consumer.first(1))

            let connection = try rabbitMQConnection(to: url)
            try connection.deleteQueue(names.events)
            var number = 1
            try await eventually("a delivery after the deletion") {
                number += 1
                let outcome = await broker.publish([message(body(number))], to: .events)[0]
                guard outcome == .confirmed else { return false }
                // Confirmed: so it is in a queue, and the consumer is there or comes.
                try await eventually("what was confirmed") { consumer.bodies.contains(body(number)) }
                return true
            }
            await consumer.stop()
        }
    }

    @Test("A message that is too large to be read goes to the dead letters, and those behind it are delivered")
    func tooLarge() async throws {
        try await withRabbitMQ(url) { broker, _ in
            let large = OutgoingMessage(body: Array(repeating: 7, count: ConsumerRole.largestBody + 1), events: 1)
            #expect(await broker.publish([large, message(body(1))], to: .events) == [.confirmed, .confirmed])
            let consumer = DeliveryCollector(broker, prefetch: 1)
            consumer.acknowledge(try await consumer.first(1))
            #expect(consumer.bodies == [body(1)])
            try await eventually("the large one is a dead letter") {
                try await broker.depths() == QueueDepths(ready: 0, unacknowledged: 0, dead: 1)
            }
            #expect(consumer.sessions.count == 1, "and no connection was lost")
            await consumer.stop()
        }
    }

    @Test("A reading of dead letters returns when its letters are back, also where the broker hears its goodbye late")
    func waitsForReturnedLetters() async throws {
        let between = try await SlowGoodbye(to: url, delay: .milliseconds(2_700))
        try await withRabbitMQ(url, through: between.url(of: url)) {
            $0.goodbyeTimeout = .seconds(2)
        } _: { broker, _ in
            let letters = (0..<20).map { message(body($0)) }
            #expect(await broker.publish(letters, to: .deadLetters).allSatisfy { $0 == .confirmed })
            let page = try await broker.deadLetters(after: nil, limit: DeadLetterLimit())
            let waiting = try await broker.depths().dead
            #expect(page.letters.count == 20 && waiting == 20)
        }
        try await between.close()
    }

    @Test("A message for which there is no queue is returned: unconfirmed, and the next one finds a queue")
    func reportsAReturn() async throws {
        try await withRabbitMQ(url) { broker, names in
            try await broker.checkHealth()
            let connection = try rabbitMQConnection(to: url)
            try connection.deleteQueue(names.deadLetters)
            let outcome = await broker.publish([message(body(1))], to: .deadLetters)
            #expect(outcome == [.unconfirmed("the broker returned it: 312 NO_ROUTE")])
            #expect(await broker.publish([message(body(2))], to: .deadLetters) == [.confirmed])
            #expect(try await broker.depths().dead == 1)
        }
    }

    @Test("A message for which there is no exchange is unconfirmed, and the next one finds one")
    func redeclaresTheExchange() async throws {
        try await withRabbitMQ(url) { broker, names in
            try await broker.checkHealth()
            let connection = try rabbitMQConnection(to: url)
            try connection.deleteExchange(names.events)
            #expect(await broker.publish([message(body(1))], to: .events) != [.confirmed])
            try await eventually("a confirm") {
                await broker.publish([message(body(2))], to: .events) == [.confirmed]
            }
        }
    }

    @Test("A queue that is there with other arguments is a misconfiguration, told in the broker's words")
    func refusesAnotherKindOfQueue() async throws {
        let connection = try rabbitMQConnection(to: url)
        try await withRabbitMQ(url) { broker, names in
            try await broker.checkHealth()
            try connection.deleteQueue(names.events)
            try connection.declareQuorumQueue(names.events)
            // The next declaration comes with the next connection.
            let second = try RabbitMQBroker(url: url, names: names, logger: Logger(label: "test"))
            let error = await #expect(throws: BrokerError.self) { try await second.checkHealth() }
            #expect(error?.code == .misconfigured)
            #expect(error?.message.contains("PRECONDITION_FAILED") == true)
            #expect(await second.publish([message(body(1))], to: .events) == [.unconfirmed(error?.message ?? "")])
            await second.shutdown()
        }
    }

    @Test("Wrong credentials are a misconfiguration")
    func refusesWrongCredentials() async throws {
        let address = try BrokerAddress(url: url)
        let stranger = "amqp://nobody:wrong@\(address.host):\(address.port)"
        let broker = try RabbitMQBroker(url: stranger, logger: Logger(label: "test"))
        let error = await #expect(throws: BrokerError.self) { try await broker.checkHealth() }
        #expect(error?.code == .misconfigured)
        await broker.shutdown()
    }

    @Test("Where nobody listens, everything says so at once, and shutting down does not wait")
    func reportsAnAbsentBroker() async throws {
        let broker = try RabbitMQBroker(url: "amqp://127.0.0.1:1", logger: Logger(label: "test"))
        let consumer = DeliveryCollector(broker, prefetch: 1)
        let started = ContinuousClock.now
        #expect(await broker.publish([message(body(1))], to: .events) != [.confirmed])
        let health = await #expect(throws: BrokerError.self) { try await broker.checkHealth() }
        let depths = await #expect(throws: BrokerError.self) { _ = try await broker.depths() }
        #expect(health?.code == .unavailable)
        #expect(depths?.code == .unavailable)
        await broker.shutdown()
        await consumer.stop()
        #expect(ContinuousClock.now - started < .seconds(15))
        #expect(consumer.deliveries.isEmpty)
        #expect(await broker.publish([message(body(1))], to: .events) == [.unconfirmed("the publisher is shutting down")])
    }

    @Test("At the limit of what may be held, further calls are refused at once")
    func isBounded() async throws {
        try await withRabbitMQ(url) {
            $0.publishBytes = 1000
        } _: { broker, _ in
            let outcomes = await withTaskGroup(of: [PublishOutcome].self) { group in
                for _ in 0..<20 {
                    group.addTask { await broker.publish([message(Array(repeating: 0, count: 600))], to: .events) }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes.contains(.confirmed))
            #expect(outcomes.allSatisfy { $0 == .confirmed || $0 == .unconfirmed("the publisher is full") })
            #expect(await broker.publish([message(Array(repeating: 0, count: 5000))], to: .events) == [.confirmed])
        }
    }

    @Test("Connections that have nothing to do outlive many heartbeats")
    func staysWhileIdle() async throws {
        try await withRabbitMQ(url) {
            $0.heartbeat = .seconds(2)
        } _: { broker, _ in
            let consumer = DeliveryCollector(broker, prefetch: 10)
            #expect(await broker.publish([message(body(1))], to: .events) == [.confirmed])
            let before = try await consumer.first(1)[0]
            // The silence is what is tested: two heartbeats without a byte would end a connection.
            try await Task.sleep(for: .seconds(7))
            #expect(await broker.publish([message(body(2))], to: .events) == [.confirmed])
            let after = try await consumer.first(2)[1]
            #expect(after.handle == DeliveryHandle(epoch: before.handle.epoch, tag: 2))
            await consumer.stop()
        }
    }
}
