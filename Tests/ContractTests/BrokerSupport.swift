import AnalyticsCore
import AnalyticsEmbedded
import AnalyticsRabbitMQ
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// The adapters that the broker contract runs on.
enum BrokerBackend: String, CaseIterable, CustomTestStringConvertible {
    /// The one that other tests use in place of a broker.
    case memory
    case embedded
    case rabbitmq

    /// Memory and embedded always; RabbitMQ where TEST_RABBITMQ_URL says where it is.
    static let available: [BrokerBackend] = allCases.filter { $0 != .rabbitmq || rabbitMQURL != nil }

    var testDescription: String { rawValue }
}

/// A broker of one's own, empty at first, that can be closed and opened again over the same messages.
final class BrokerUnderTest {
    private let backend: BrokerBackend
    private let folder: URL
    private var opened: (broker: any Broker, shutdown: () async -> Void)

    fileprivate init(_ backend: BrokerBackend) async throws {
        self.backend = backend
        folder = FileManager.default.temporaryDirectory.appending(path: "broker-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        opened = try await Self.open(backend, in: folder, after: nil)
    }

    var broker: any Broker { opened.broker }

    func reopen() async throws {
        await opened.shutdown()
        opened = try await Self.open(backend, in: folder, after: opened.broker)
    }

    fileprivate func close() async {
        await opened.shutdown()
        if backend == .rabbitmq, let rabbitMQURL { try? deleteTopology(Self.names(in: folder), at: rabbitMQURL) }
        try? FileManager.default.removeItem(at: folder)
    }

    private static func open(
        _ backend: BrokerBackend, in folder: URL, after previous: (any Broker)?
    ) async throws -> (broker: any Broker, shutdown: () async -> Void) {
        switch backend {
        case .memory:
            let broker = (previous as? MemoryBroker).map(MemoryBroker.init(reopening:)) ?? MemoryBroker()
            return (broker, { broker.shutdown() })
        case .embedded:
            let queue = try SQLiteQueue(path: folder.appending(path: "queue.sqlite").path, logger: Logger(label: "test"))
            return (queue, { await queue.shutdown() })
        case .rabbitmq:
            let broker = try RabbitMQBroker(url: rabbitMQURL ?? "", names: names(in: folder), logger: Logger(label: "test"))
            return (broker, { await broker.shutdown() })
        }
    }

    /// Queues of one's own, named like the folder.
    private static func names(in folder: URL) -> Topology { Topology(prefix: folder.lastPathComponent) }
}

func withBroker(_ backend: BrokerBackend, _ body: (BrokerUnderTest) async throws -> Void) async throws {
    let subject = try await BrokerUnderTest(backend)
    do {
        try await body(subject)
    } catch {
        await subject.close()
        throw error
    }
    await subject.close()
}

/// Takes deliveries as they come, in a task of its own, and never acknowledges by itself.
final class DeliveryCollector: Sendable {
    private final class Received: Sendable {
        struct State {
            var sessions: [DeliverySession] = []
            var deliveries: [Delivery] = []
            var end: Result<Void, any Error>?
        }

        let state = Mutex(State())
    }

    private let received = Received()
    private let task: Task<Void, Never>

    init(_ broker: any Broker, prefetch: Int) {
        task = Task { [received] in
            let result: Result<Void, any Error>
            do {
                try await broker.withConsumer(prefetch: prefetch) { consumer in
                    try await consumer.forEachSession { session in
                        received.state.withLock { $0.sessions.append(session) }
                        for await delivery in session { received.state.withLock { $0.deliveries.append(delivery) } }
                    }
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            received.state.withLock { $0.end = result }
        }
    }

    var sessions: [DeliverySession] { received.state.withLock { $0.sessions } }
    var deliveries: [Delivery] { received.state.withLock { $0.deliveries } }
    /// How the consumer has ended, once it has.
    var end: Result<Void, any Error>? { received.state.withLock { $0.end } }
    var bodies: [[UInt8]] { deliveries.map(\.body) }

    /// The first `count` deliveries; fails the test where they do not come.
    @discardableResult
    func first(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws -> [Delivery] {
        try await eventually("\(count) deliveries", sourceLocation: sourceLocation) { self.deliveries.count >= count }
        return Array(deliveries.prefix(count))
    }

    /// To all sessions so far: each takes what is its own.
    func acknowledge(_ deliveries: some Sequence<Delivery>) {
        let handles = deliveries.map(\.handle)
        for session in sessions { session.acknowledge(handles) }
    }

    /// Lets the consumer go and waits until its scope has ended.
    func stop() async {
        task.cancel()
        await task.value
    }

    /// Returns when the consumer has ended by itself.
    func waitForEnd() async {
        await task.value
    }
}
