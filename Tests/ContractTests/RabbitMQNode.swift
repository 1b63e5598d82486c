import AnalyticsCore
import Foundation
import Logging
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

/// Where the RabbitMQ is that all tests share; `nil` switches its tests off.
let rabbitMQURL = ProcessInfo.processInfo.environment["TEST_RABBITMQ_URL"]

/// Runs a body with a broker under names of its own, and leaves nothing behind.
///
/// - Parameter detour: Where the broker's adapter connects to instead.
func withRabbitMQ(
    _ url: String, through detour: String? = nil, _ change: (inout LinkSettings) -> Void = { _ in },
    _ body: (RabbitMQBroker, Topology) async throws -> Void
) async throws {
    var settings = LinkSettings()
    change(&settings)
    let names = Topology(prefix: "test-\(UUID().uuidString)")
    let broker = try RabbitMQBroker(url: detour ?? url, names: names, logger: Logger(label: "test"), settings: settings)
    do {
        try await body(broker, names)
    } catch {
        await broker.shutdown()
        try? deleteTopology(names, at: url)
        throw error
    }
    await broker.shutdown()
    try deleteTopology(names, at: url)
}

func rabbitMQConnection(to url: String) throws -> Connection {
    try Connection(to: BrokerAddress(url: url), name: "test", settings: LinkSettings())
}

func deleteTopology(_ names: Topology, at url: String) throws {
    let connection = try rabbitMQConnection(to: url)
    for name in [names.events, names.deadLetters] {
        try connection.deleteQueue(name)
        try connection.deleteExchange(name)
    }
    try connection.deleteExchange(names.owner)
}

/// A RabbitMQ of a suite's own, to be killed, stopped and filled up: `scripts/stack.sh` in a folder and on ports of its own.
struct RabbitMQNode: Sendable {
    @TaskLocal static var current: RabbitMQNode?

    private let folder: URL
    private let portOffset: Int
    /// That of its certificate, if it serves TLS too.
    let authority: TestAuthority?

    static func start(_ authority: TestAuthority?) async throws -> RabbitMQNode {
        let folder = FileManager.default.temporaryDirectory.appending(path: "rabbitmq-\(UUID().uuidString)")
        for portOffset in stride(from: 2000, to: 3000, by: 100) {
            let node = RabbitMQNode(folder: folder, portOffset: portOffset, authority: authority)
            guard (try? await node.stack("free")) != nil else { continue }
            try await node.stack("start", "rabbitmq")
            return node
        }
        throw BrokerError(.unavailable, "no free ports for a RabbitMQ of the tests' own")
    }

    var url: String { "amqp://guest:guest@127.0.0.1:\(5673 + portOffset)" }

    /// Over TLS.
    func secureURL(_ query: String, host: String = "localhost") -> String {
        "amqps://guest:guest@\(host):\(5674 + portOffset)?\(query)"
    }

    /// One command of `scripts/stack.sh`.
    func stack(_ arguments: String...) async throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../scripts/stack.sh").standardized
        let process = Process()
        process.executableURL = script
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["STACK_DIR": folder.path, "STACK_PORT_OFFSET": String(portOffset), "STACK_TLS": authority?.folder.path ?? ""]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        guard status == 0 else { throw BrokerError(.unavailable, "stack.sh \(arguments) ended with \(status)") }
    }
}

/// Gives a suite a ``RabbitMQNode`` for as long as it runs.
struct OwnRabbitMQNode: SuiteTrait, TestScoping {
    /// Whether it serves TLS too.
    var isSecure = false

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let authority = isSecure ? try await TestAuthority() : nil
        defer { authority?.remove() }
        try await authority?.issue("server")
        let node = try await RabbitMQNode.start(authority)
        do {
            try await RabbitMQNode.$current.withValue(node) { try await function() }
        } catch {
            try await node.stack("down", "--wipe")
            throw error
        }
        try await node.stack("down", "--wipe")
    }
}
