import AnalyticsCore
import Foundation
import Logging
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: whose a queue is", .serialized, .enabled(if: rabbitMQURL != nil), .timeLimit(.minutes(2)))
struct RabbitMQClaimTests {
    private let url = rabbitMQURL ?? ""

    /// As many brokers as owners, on the same queues; each with a consumer.
    private func withConsumers(
        _ owners: [QueueOwner], _ body: (Topology, [(broker: RabbitMQBroker, consumer: DeliveryCollector)]) async throws -> Void
    ) async throws {
        let names = Topology(prefix: "test-\(UUID().uuidString)")
        var settings = LinkSettings()
        settings.heartbeat = .seconds(1)
        var subjects: [(broker: RabbitMQBroker, consumer: DeliveryCollector)] = []
        for owner in owners {
            let broker = try RabbitMQBroker(url: url, names: names, logger: Logger(label: "test"), settings: settings)
            broker.claim(for: owner)
            subjects.append((broker, DeliveryCollector(broker, prefetch: 10)))
        }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(names, subjects))
        } catch {
            result = .failure(error)
        }
        for subject in subjects {
            await subject.consumer.stop()
            await subject.broker.shutdown()
        }
        try deleteTopology(names, at: url)
        try result.get()
    }

    private static func owner(_ isShared: Bool = true) -> QueueOwner { QueueOwner(store: UUID().uuidString, isShared: isShared) }

    @Test("Of many stores that begin at once exactly one consumes, and the others end", arguments: 0..<5)
    func exactlyOne(_ round: Int) async throws {
        let owners = (0..<8).map { Self.owner($0 % 2 == 0) }
        try await withConsumers(owners) { names, subjects in
            let ends = await withTaskGroup { group in
                for subject in subjects {
                    group.addTask { await subject.consumer.waitForEnd() }
                }
                var ends: [(any Error)?] = []
                while ends.count < owners.count - 1, let end = await group.next() { ends.append(end) }
                // The one that is left consumes until it is told to stop.
                for subject in subjects { #expect(await subject.broker.publish([message(body(1))], to: .events) == [.confirmed]) }
                try? await eventually("its deliveries") { subjects.contains { $0.consumer.deliveries.count == owners.count } }
                for subject in subjects { await subject.consumer.stop() }
                return ends
            }
            #expect(ends.map { ($0 as? BrokerError)?.code } == Array(repeating: .owned, count: owners.count - 1))
            #expect(subjects.filter { !$0.consumer.sessions.isEmpty }.count == 1)
            #expect(subjects.contains { $0.consumer.deliveries.count == owners.count })
        }
    }

    @Test("Processes with the same database share a queue")
    func shares() async throws {
        let owner = Self.owner()
        try await withConsumers([owner, owner, owner]) { _, subjects in
            try await eventually("all consume") { subjects.allSatisfy { !$0.consumer.sessions.isEmpty } }
        }
    }

    @Test("A second process with a copy of a file waits as long as a lost connection may be there, and ends")
    func refusesACopy() async throws {
        let owner = Self.owner(false)
        try await withConsumers([owner]) { names, subjects in
            try await eventually("it consumes") { !subjects[0].consumer.sessions.isEmpty }
            try await withSecond(owner, names) { second in
                let started = ContinuousClock.now
                let end = await second.waitForEnd() as? BrokerError
                #expect(end?.code == .owned && end?.message.contains("copy") == true, "\(String(describing: end))")
                #expect(ContinuousClock.now - started >= .seconds(3))
                #expect(second.sessions.isEmpty)
            }
        }
    }

    @Test("A process that finds its own lost connection still there waits for its end, and consumes")
    func outlivesItsOwnConnection() async throws {
        let owner = Self.owner(false)
        try await withConsumers([owner]) { names, subjects in
            try await eventually("it consumes") { !subjects[0].consumer.sessions.isEmpty }
            try await withSecond(owner, names) { second in
                let connection = try rabbitMQConnection(to: url)
                try await eventually("it has been refused") { second.sessions.isEmpty && (try? connection.selectConfirms()) != nil }
                await subjects[0].consumer.stop()
                try await eventually("the second one consumes") { !second.sessions.isEmpty }
            }
        }
    }

    private func withSecond(_ owner: QueueOwner, _ names: Topology, _ body: (DeliveryCollector) async throws -> Void) async throws {
        var settings = LinkSettings()
        settings.heartbeat = .seconds(1)
        let broker = try RabbitMQBroker(url: url, names: names, logger: Logger(label: "test"), settings: settings)
        broker.claim(for: owner)
        let consumer = DeliveryCollector(broker, prefetch: 10)
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(consumer))
        } catch {
            result = .failure(error)
        }
        await consumer.stop()
        await broker.shutdown()
        try result.get()
    }
}
