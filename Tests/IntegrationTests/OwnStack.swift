import Foundation

/// Services of a test's own, to be killed, restarted and cut off: `scripts/stack.sh` in a folder and on ports of its own.
struct OwnStack: Sendable {
    private let folder: URL
    private let portOffset: Int
    private let certificates: URL?

    /// Runs `body` with these services started, and removes them afterwards.
    ///
    /// - Parameter certificates: The folder of a `TestAuthority` with a certificate named `server`: the services serve TLS too.
    static func with(_ services: String..., certificates: URL? = nil, body: (OwnStack) async throws -> Void) async throws {
        let stack = try await start(services, certificates)
        do {
            try await body(stack)
        } catch {
            try await stack("down", "--wipe")
            throw error
        }
        try await stack("down", "--wipe")
    }

    private static func start(_ services: [String], _ certificates: URL?) async throws -> OwnStack {
        let folder = FileManager.default.temporaryDirectory.appending(path: "stack-\(UUID().uuidString)")
        for portOffset in stride(from: 3000, to: 4000, by: 100) {
            let stack = OwnStack(folder: folder, portOffset: portOffset, certificates: certificates)
            guard (try? await stack("free")) != nil else { continue }
            try await stack.run(["start"] + services)
            return stack
        }
        throw CommandFailed(description: "no free ports for services of the test's own")
    }

    var mongoURI: String { "mongodb://127.0.0.1:\(27117 + portOffset)/analytics?replicaSet=rs0" }
    var rabbitURL: String { "amqp://guest:guest@127.0.0.1:\(5673 + portOffset)" }
    var redisPort: Int { 6380 + portOffset }
    /// Over TLS, without the query.
    var secureRabbitURL: String { "amqps://guest:guest@127.0.0.1:\(5674 + portOffset)" }

    /// One command of `scripts/stack.sh`; returns what it printed.
    @discardableResult
    func callAsFunction(_ arguments: String...) async throws -> String { try await run(arguments) }

    @discardableResult
    private func run(_ arguments: [String]) async throws -> String {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../scripts/stack.sh").standardized
        let environment = ProcessInfo.processInfo.environment.merging(
            ["STACK_DIR": folder.path, "STACK_PORT_OFFSET": String(portOffset), "STACK_TLS": certificates?.path ?? ""]) { $1 }
        let result = try await Command.run(script.path, arguments, environment: environment)
        guard result.status == 0 else { throw CommandFailed(description: "stack.sh \(arguments): \(result.output)\(result.errors)") }
        return result.output
    }
}
