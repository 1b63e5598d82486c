import AnalyticsCore
import Foundation
import Glibc
import Synchronization
import Testing

/// The mongod that tests start; `nil` switches those off.
let mongodProgram = ProcessInfo.processInfo.environment["TEST_MONGOD"]

func withMongoServer(_ options: [String] = [], _ body: (MongoServer) async throws -> Void) async throws {
    let server = try MongoServer(program: #require(mongodProgram))
    defer { server.remove() }
    try server.start(options)
    try await body(server)
}

/// Tries again while the store is unavailable, for 30 seconds at the most.
func untilAvailable<Value>(_ body: () async throws -> Value) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
        do {
            return try await body()
        } catch let error as StoreError where error.code == .unavailable && ContinuousClock.now < deadline {
            continue
        }
    }
}

/// A mongod in a folder and on a port of its own.
final class MongoServer: Sendable {
    private let program: String
    private let folder: URL
    private let port: UInt16
    private let process = Mutex<Process?>(nil)

    var uri: String { "mongodb://127.0.0.1:\(port)" }

    init(program: String) throws {
        self.program = program
        folder = FileManager.default.temporaryDirectory.appending(path: "mongod-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        port = try Self.freePort()
    }

    func start(_ options: [String] = []) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments =
            [
                "--dbpath", folder.path(), "--port", "\(port)", "--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB",
                "0.25",
            ] + options
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        self.process.withLock { $0 = process }
    }

    func signal(_ signal: Int32) throws {
        guard let process = process.withLock({ $0 }), Glibc.kill(process.processIdentifier, signal) == 0 else { throw POSIXError(.ESRCH) }
    }

    func kill() throws {
        try signal(SIGKILL)
        process.withLock { $0 }?.waitUntilExit()
    }

    func remove() {
        try? signal(SIGCONT)
        try? kill()
        try? FileManager.default.removeItem(at: folder)
    }

    /// One that nobody listens on right now.
    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRINUSE) }
        return UInt16(bigEndian: address.sin_port)
    }
}
