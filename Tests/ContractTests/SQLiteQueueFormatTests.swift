import AnalyticsCore
import Foundation
import Logging
import Testing

@testable import AnalyticsEmbedded

/// The queue's file across versions of the service.
@Suite("SQLite queue, format", .timeLimit(.minutes(2)))
struct SQLiteQueueFormatTests {
    /// Queues with messages waiting that each earlier version has left after kill -9. Tests/Fixtures/make-queue-fixtures.py makes them.
    static let fixtures: [URL] = {
        let all = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")
        let versions = (try? FileManager.default.contentsOfDirectory(at: all, includingPropertiesForKeys: nil)) ?? []
        return versions.map { $0.appending(path: "queue") }.filter { FileManager.default.fileExists(atPath: $0.path) }
    }()

    @Test("There is a fixture of the first version")
    func fixturesAreThere() {
        #expect(Self.fixtures.contains { $0.path.hasSuffix("/v1/queue") })
    }

    @Test(
        "What an earlier version has left is delivered, counted as delivered before, and the file is of today's version",
        arguments: fixtures)
    func opensOlder(_ fixture: URL) async throws {
        try await withCopy(of: fixture.appending(path: "queue.sqlite")) { path in
            let queue = try open(path)
            let messages = try files(fixture.appending(path: "messages"))
            let dead = try files(fixture.appending(path: "dead")).count
            #expect(try await queue.depths() == QueueDepths(ready: messages.count, unacknowledged: 0, dead: dead))
            let consumer = DeliveryCollector(queue, prefetch: 100)
            let deliveries = try await consumer.first(messages.count)
            #expect(Set(deliveries.map(\.body)) == messages)
            #expect(deliveries.allSatisfy { $0.redeliveries == 1 })
            consumer.acknowledge(deliveries)
            await consumer.stop()
            await queue.shutdown()
            #expect(try version(path) == SQLiteQueueSchema.version)

            let again = try open(path)
            #expect(try await again.depths() == QueueDepths(ready: 0, unacknowledged: 0, dead: dead))
            await again.shutdown()
        }
    }

    @Test("A newer version's file is refused with one line, and left as it is")
    func refusesNewer() async throws {
        try await withCopy(of: try #require(Self.fixtures.first).appending(path: "queue.sqlite")) { path in
            try setVersion(SQLiteQueueSchema.version + 1, path)
            let error = #expect(throws: BrokerError.self) { try open(path) }
            #expect(error?.code == .misconfigured)
            #expect(error?.message.contains("format version \(SQLiteQueueSchema.version + 1)") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("\n") == false)
            // Had the refused start counted what waits as delivered once more, it would be two.
            try setVersion(SQLiteQueueSchema.version, path)
            let queue = try open(path)
            let deliveries = try await DeliveryCollector(queue, prefetch: 100).first(5)
            #expect(deliveries.allSatisfy { $0.redeliveries == 1 })
            await queue.shutdown()
        }
    }

    /// https://www.sqlite.org/fileformat2.html#the_database_header
    private static let versionOffset = 60

    private func version(_ path: URL) throws -> Int {
        try Data(contentsOf: path)[Self.versionOffset..<Self.versionOffset + 4].reduce(0) { $0 << 8 + Int($1) }
    }

    private func setVersion(_ version: Int, _ path: URL) throws {
        var bytes = try Data(contentsOf: path)
        bytes.replaceSubrange(Self.versionOffset..<Self.versionOffset + 4, with: [0, 0, 0, UInt8(version)])
        try bytes.write(to: path)
    }

    private func open(_ path: URL) throws -> SQLiteQueue { try SQLiteQueue(path: path.path, logger: Logger(label: "test")) }

    private func files(_ folder: URL) throws -> Set<[UInt8]> {
        Set(
            try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil).map { Array(try Data(contentsOf: $0)) }
        )
    }

    private func withCopy(of file: URL, _ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "queue-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let copy = folder.appending(path: "queue.sqlite")
        try FileManager.default.copyItem(at: file, to: copy)
        try await body(copy)
    }
}
