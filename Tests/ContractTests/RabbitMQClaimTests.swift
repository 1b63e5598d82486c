import AnalyticsCore
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: whose a queue is", .serialized, .enabled(if: rabbitMQURL != nil), .timeLimit(.minutes(2)))
struct RabbitMQClaimTests {
    private let url = rabbitMQURL ?? ""

    @Test("Of many stores that begin at once exactly one consumes, and the others end", arguments: 0..<10)
    func exactlyOne(_ round: Int) async throws {
        try await withRabbitMQ(url) { broker, names in
            // Before there is an exchange, and with one of a store that is away.
            if round % 2 == 1 {
                try await withConsumers([Self.owner()], names) { try await Self.untilConsuming($0[0]) }
            }
            let owners = (0..<8).map { Self.owner(isShared: $0 % 2 == 0) }
            try await withConsumers(owners, names) { consumers in
                try await eventually("all but one end") { consumers.filter { $0.end != nil }.count == owners.count - 1 }
                #expect(await broker.publish([message(body(1)), message(body(2))], to: .events) == [.confirmed, .confirmed])
                // Twice, where the machine was too busy for its connection.
                try await eventually("one has all") { consumers.map { Set($0.bodies).count }.sorted() == [0, 0, 0, 0, 0, 0, 0, 2] }
                #expect(consumers.compactMap(\.failure).map(\.code) == Array(repeating: .owned, count: owners.count - 1))
                // RabbitMQ 3.10 ends a connection that consumes from a queue while it is being made (INTERNAL_ERROR). An owner that loses its
                // connection so, before there is any message, may find another one there.
                try await eventually("one consumes") { consumers.filter { $0.sessions.contains { !$0.isLost } }.count == 1 }
            }
        }
    }

    @Test("Processes with the same database share a queue")
    func shares() async throws {
        try await withRabbitMQ(url) { _, names in
            let owner = Self.owner()
            try await withConsumers([owner, owner, owner], names) { consumers in
                for consumer in consumers { try await Self.untilConsuming(consumer) }
            }
        }
    }

    @Test("A second process with a copy of a file waits as long as a lost connection may be there, and ends")
    func refusesACopy() async throws {
        try await withRabbitMQ(url) { _, names in
            let owner = Self.owner(isShared: false)
            try await withConsumers([owner], names, heartbeat: .seconds(1)) { first in
                try await Self.untilConsuming(first[0])
                let started = ContinuousClock.now
                try await withConsumers([owner], names, heartbeat: .seconds(1)) { second in
                    let end = try await second[0].untilFailed()
                    #expect(end?.code == .owned && end?.message.contains("copy") == true, "\(String(describing: end))")
                    #expect(second[0].sessions.isEmpty)
                }
                #expect(ContinuousClock.now - started >= .seconds(3))
            }
        }
    }

    @Test("A process that finds its own lost connection still there waits for its end, and consumes")
    func outlivesItsOwnConnection() async throws {
        try await withRabbitMQ(url) { _, names in
            let owner = Self.owner(isShared: false)
            var lost: Connection? = try rabbitMQConnection(to: url)
            let isDeclared = try lost?.declareExclusiveQueue("\(names.owner).\(owner.store)")
            #expect(isDeclared == true)
            let log = RecordedLog()
            try await withConsumers([owner], names, log.logger, heartbeat: .seconds(1)) { consumers in
                try await eventually("it has been refused") { log.contains("earlier connection") }
                #expect(consumers[0].sessions.isEmpty)
                lost = nil
                try await Self.untilConsuming(consumers[0])
            }
        }
    }

    @Test("An owner that comes back and finds another store's process there ends")
    func losesTheQueueWhileAway() async throws {
        try await withRabbitMQ(url) { _, names in
            try await withConsumers([Self.owner()], names) { consumers in
                try await Self.untilConsuming(consumers[0])
                let connection = try rabbitMQConnection(to: url)
                try connection.deleteExchange(names.owner)
                var claim = QueueClaim(owner: Self.owner(), settings: LinkSettings(), logger: Logger(label: "test"))
                try claim.make(of: names, on: connection, now: .now)
                // Ends the consumer's connection.
                try connection.deleteQueue(names.events)
                let end = try await consumers[0].untilFailed()
                #expect(end?.code == .owned && end?.message.contains("running") == true, "\(String(describing: end))")
                #expect(consumers[0].sessions.count == 1)
            }
        }
    }

    @Test("Messages for a store that is away are another one's only when somebody has deleted the exchange")
    func givesMessagesAway() async throws {
        try await withRabbitMQ(url) { broker, names in
            try await withConsumers([Self.owner()], names) { try await Self.untilConsuming($0[0]) }
            #expect(await broker.publish([message(body(1)), message(body(2))], to: .events) == [.confirmed, .confirmed])
            let next = Self.owner()
            try await withConsumers([next], names) { consumers in
                let end = try await consumers[0].untilFailed()
                #expect(end?.code == .owned && end?.message.contains("holds 2 messages") == true, "\(String(describing: end))")
            }
            try rabbitMQConnection(to: url).deleteExchange(names.owner)
            try await withConsumers([next], names) { consumers in try await consumers[0].first(2) }
        }
    }

    @Test("While somebody consumes without a claim, a queue does not change its store")
    func countsConsumersWithoutAClaim() async throws {
        try await withRabbitMQ(url) { _, names in
            try await withConsumers([Self.owner()], names) { try await Self.untilConsuming($0[0]) }
            try await withConsumers([nil], names) { earlier in
                try await Self.untilConsuming(earlier[0])
                let connection = try rabbitMQConnection(to: url)
                try await eventually("the broker knows it") { try connection.inspect(names.events).consumers == 1 }
                try await withConsumers([Self.owner()], names) { consumers in
                    let end = try await consumers[0].untilFailed()
                    #expect(end?.code == .owned)
                }
            }
        }
    }

    // MARK: Support

    private static func owner(isShared: Bool = true) -> QueueOwner { QueueOwner(store: UUID().uuidString, isShared: isShared) }

    /// A broker and a consumer for each owner, all at once; for `nil` one that claims nothing.
    private func withConsumers(
        _ owners: [QueueOwner?], _ names: Topology, _ logger: Logger = Logger(label: "test"), heartbeat: Duration = .seconds(5),
        _ body: ([DeliveryCollector]) async throws -> Void
    ) async throws {
        var settings = LinkSettings()
        settings.heartbeat = heartbeat
        var subjects: [(broker: RabbitMQBroker, consumer: DeliveryCollector)] = []
        for owner in owners {
            let broker = try RabbitMQBroker(url: url, names: names, logger: logger, settings: settings)
            if let owner { broker.claim(for: owner) }
            subjects.append((broker, DeliveryCollector(broker, prefetch: 10)))
        }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(subjects.map(\.consumer)))
        } catch {
            result = .failure(error)
        }
        for subject in subjects {
            await subject.consumer.stop()
            await subject.broker.shutdown()
        }
        try result.get()
    }

    private static func untilConsuming(_ consumer: DeliveryCollector) async throws {
        try await eventually("it consumes") { !consumer.sessions.isEmpty }
    }
}

extension DeliveryCollector {
    fileprivate var failure: BrokerError? {
        guard case .failure(let error) = end else { return nil }
        return error as? BrokerError
    }

    fileprivate func untilFailed() async throws -> BrokerError? {
        try await eventually("it ends by itself") { self.end != nil }
        return failure
    }
}
