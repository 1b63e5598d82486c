import AnalyticsCore
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

/// One after another, for they share a node and do it harm.
@Suite(
    "RabbitMQ: the adapter when its broker fails", .serialized, .enabled(if: rabbitMQURL != nil), .timeLimit(.minutes(5)),
    OwnRabbitMQNode())
struct RabbitMQFaultTests {
    private let node: RabbitMQNode

    init() throws {
        node = try #require(RabbitMQNode.current)
    }

    @Test("Under a memory alarm publishes are unconfirmed within 5 s while consuming goes on; they are confirmed within 5 s after it")
    func honoursAnAlarm() async throws {
        try await withRabbitMQ(node.url) { broker, _ in
            #expect(await broker.publish((0..<100).map { message(body($0)) }, to: .events).allSatisfy { $0 == .confirmed })
            try await node.stack("rabbitmqctl", "set_vm_memory_high_watermark", "0.00001")
            for _ in 0..<3 {
                let started = ContinuousClock.now
                // Far more than a socket holds.
                let large = Array(repeating: message(Array(repeating: 0, count: 100_000)), count: 200)
                let outcomes = await broker.publish(large, to: .events)
                #expect(outcomes.allSatisfy { $0 != .confirmed })
                #expect(ContinuousClock.now - started < .seconds(9))
            }
            let error = await #expect(throws: BrokerError.self) { try await broker.checkHealth() }
            #expect(error?.code == .blocked)

            let consumer = DeliveryCollector(broker, prefetch: 30)
            try await acknowledgeAll(consumer, count: 100)
            #expect(try await broker.depths().dead == 0)
            await consumer.stop()

            try await node.stack("rabbitmqctl", "set_vm_memory_high_watermark", "0.4")
            try await eventually("a confirm", within: .seconds(20)) {
                await broker.publish([message(body(1))], to: .events) == [.confirmed]
            }
            try await broker.checkHealth()
        }
    }

    @Test("Killing the broker confirms nothing falsely; afterwards publishing and deliveries go on by themselves")
    func survivesAKill() async throws {
        try await withRabbitMQ(node.url) { broker, _ in
            let consumer = DeliveryCollector(broker, prefetch: 100)
            let confirmed = Mutex<Set<[UInt8]>>([])
            let acknowledging = Task {
                var done = 0
                while !Task.isCancelled {
                    let deliveries = consumer.deliveries
                    consumer.acknowledge(deliveries[done...])
                    done = deliveries.count
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
            let publishing = Task {
                var number = 0
                while !Task.isCancelled {
                    let bodies = (0..<20).map { body(number + $0) }
                    number += 20
                    let outcomes = await broker.publish(bodies.map(message), to: .events)
                    confirmed.withLock { $0.formUnion(zip(bodies, outcomes).filter { $0.1 == .confirmed }.map(\.0)) }
                    // Refusals are quick, and this is no test of their speed.
                    if outcomes.contains(where: { $0 != .confirmed }) { try? await Task.sleep(for: .milliseconds(20)) }
                }
            }
            try await eventually("confirms before") { confirmed.withLock { $0.count } > 1000 }
            // RabbitMQ 3.10 writes the name of a new quorum queue to disk up to 3 s later (dets, delayed write in Ra's directory), and
            // does not find the queue again when it is killed before.
            try await Task.sleep(for: .seconds(5))
            try await node.stack("kill", "rabbitmq")
            let before = confirmed.withLock { $0.count }
            try await eventually("the news") { (try? await broker.checkHealth()) == nil }
            try await node.stack("start", "rabbitmq")
            try await eventually("confirms after", within: .seconds(20)) { confirmed.withLock { $0.count } > before + 1000 }
            publishing.cancel()
            await publishing.value
            try await eventually("everything that was confirmed") {
                confirmed.withLock { $0 }.isSubset(of: Set(consumer.bodies))
            }
            acknowledging.cancel()
            await acknowledging.value
            await consumer.stop()
        }
    }

    @Test("A broker that falls silent is noticed within two heartbeats and 2 s, while publishing as while idle")
    func noticesSilence() async throws {
        try await withRabbitMQ(node.url) {
            $0.heartbeat = .seconds(2)
        } _: { broker, _ in
            let consumer = DeliveryCollector(broker, prefetch: 10)
            #expect(await broker.publish([message(body(1))], to: .events) == [.confirmed])
            try await consumer.first(1)
            try await node.stack("pause", "rabbitmq")
            let started = ContinuousClock.now
            // Sent, for nothing is known yet.
            #expect(await broker.publish([message(body(2))], to: .events) != [.confirmed])
            #expect(ContinuousClock.now - started < .seconds(9))
            // A connection to it can be made, but nobody greets.
            #expect(await broker.publish([message(body(3))], to: .events) != [.confirmed])
            await #expect(throws: BrokerError.self) { try await broker.checkHealth() }
            try await node.stack("resume", "rabbitmq")
            try await eventually("a confirm", within: .seconds(20)) {
                await broker.publish([message(body(4))], to: .events) == [.confirmed]
            }
            try await eventually("its delivery on a new connection", within: .seconds(20)) {
                consumer.deliveries.contains { $0.body == body(4) && $0.handle.epoch > 1 }
            }
            await consumer.stop()
        }
    }
}
