import AnalyticsCore
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// A server that dies, hangs and comes back. It is the suite's own: `TEST_MONGOD` names the program.
@Suite("MongoDB store: outages", .enabled(if: ProcessInfo.processInfo.environment["TEST_MONGOD"] != nil), .serialized)
struct MongoOutageTests {
    @Test("a killed server is unavailable within the limits, and what it acknowledged is there when it is back")
    func killed() async throws {
        try await withServer { server in
            let store = try MongoStore(uri: server.uri, poolSize: 2, logger: quiet)
            try await untilAvailable { try await store.prepare() }
            try await store.add((0..<100).map { stored("\($0)") })
            try await store.mark(.minute, [key(1)])
            try server.kill()

            let clock = ContinuousClock()
            let calls: [@Sendable () async throws -> Void] = [
                { _ = try await store.insert([stored("x")]) }, { try await store.mark(.minute, [key(1)]) },
                { _ = try await store.event(project: "p", id: "1") }, { try await store.checkHealth() },
            ]
            for call in calls {
                let elapsed = await clock.measure {
                    await #expect { try await call() } throws: { ($0 as? StoreError)?.code == .unavailable }
                }
                #expect(elapsed < .seconds(10))
            }

            try server.start()
            try await untilAvailable { try await store.checkHealth() }
            try await untilAvailable {
                let outcomes = try await store.insert([stored("1"), stored("x")])
                #expect(outcomes == [.redelivered, .stored])
            }
            #expect(try await store.ids(EventFilter(project: "p")).count == 101)
            #expect(try await store.rollup(.minute, key(1))?.version == 1)
            await store.shutdown()
        }
    }

    @Test("a server that hangs is unavailable within the limits, to a health check sooner; its late write does no harm")
    func hanging() async throws {
        try await withServer { server in
            let store = try MongoStore(uri: server.uri + "/?socketTimeoutMS=3000", poolSize: 2, logger: quiet)
            try await untilAvailable { try await store.prepare() }
            try server.signal(SIGSTOP)
            let clock = ContinuousClock()
            let health = await clock.measure {
                await #expect { try await store.checkHealth() } throws: { ($0 as? StoreError)?.code == .unavailable }
            }
            #expect(health < .seconds(8))
            let insert = await clock.measure {
                await #expect { try await store.insert([stored("a")]) } throws: { ($0 as? StoreError)?.code == .unavailable }
            }
            #expect(insert < .seconds(20))
            try server.signal(SIGCONT)
            try await untilAvailable {
                let outcome = try await store.insert([stored("a")])
                #expect(outcome == [.stored] || outcome == [.redelivered])
            }
            #expect(try await store.ids(EventFilter(project: "p")) == ["a"])
            await store.shutdown()
        }
    }

    @Test("a server without a journal fails every insert as a whole, and no event is blamed")
    func withoutJournal() async throws {
        try await withServer(["--nojournal"]) { server in
            let store = try MongoStore(uri: server.uri, poolSize: 2, logger: quiet)
            let events = (0..<3).map { stored("\($0)") }
            let deadline = ContinuousClock.now + .seconds(30)
            var failures: [StoreError] = []
            while failures.count < 6, ContinuousClock.now < deadline {
                do throws(StoreError) {
                    let outcomes = try await store.insert(events)
                    Issue.record("\(outcomes)")
                } catch {
                    if error.code != .unavailable { failures.append(error) }
                }
            }
            #expect(failures.count == 6 && failures.allSatisfy { $0.code == .refused }, "\(failures)")
            try server.kill()
            try server.start()
            try await untilAvailable {
                let outcomes = try await store.insert(events)
                #expect(outcomes == [.stored, .stored, .stored])
            }
            await store.shutdown()
        }
    }

    private func withServer(_ options: [String] = [], _ body: (MongoServer) async throws -> Void) async throws {
        let server = try MongoServer(program: #require(ProcessInfo.processInfo.environment["TEST_MONGOD"]))
        defer { server.remove() }
        try server.start(options)
        try await body(server)
    }

    /// Tries again while the store is unavailable, for 30 seconds at the most.
    private func untilAvailable(_ body: () async throws -> Void) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                return try await body()
            } catch let error as StoreError where error.code == .unavailable && ContinuousClock.now < deadline {
                continue
            }
        }
    }
}

/// A mongod in a folder and on a port of its own.
private final class MongoServer: Sendable {
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
