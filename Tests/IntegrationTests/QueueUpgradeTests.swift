import Foundation
import TestSupport
import Testing

/// The built executable on queues that earlier versions have left. Tests/Fixtures/make-queue-fixtures.py makes them.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct QueueUpgradeTests {
    private static let fixtures: [URL] = {
        let all = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")
        let versions = (try? FileManager.default.contentsOfDirectory(at: all, includingPropertiesForKeys: nil)) ?? []
        return versions.map { $0.appending(path: "queue") }.filter { FileManager.default.fileExists(atPath: $0.path) }
    }()

    @Test("Every message in an earlier version's queue is stored and counted", arguments: fixtures)
    func olderQueue(_ fixture: URL) async throws {
        let backends = try TestBackends.embedded()
        try FileManager.default.copyItem(
            at: fixture.appending(path: "queue.sqlite"), to: backends.directory.appending(path: "queue.sqlite"))
        let events = try #require(
            JSONSerialization.jsonObject(with: Data(contentsOf: fixture.appending(path: "expected.json"))) as? [[String: Any]])
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        try await eventually("all are counted", log: service.output) { try await service.total() == events.count }

        // Types by their bytes: one of them is there in two spellings that Swift holds for the same.
        let types = Dictionary(grouping: events.compactMap { ($0["type"] as? String).map { Array($0.utf8) } }) { $0 }
        #expect(types.count == 5)
        for (type, same) in types {
            let escaped = type.map { String(format: "%%%02X", $0) }.joined()
            #expect(try await service.total("?type=\(escaped)") == same.count, "\(escaped)")
        }
        for expected in events {
            let id = try #require(expected["id"] as? String)
            let stored = try await service.get("/api/v1/events/\(id)").json
            for key in ["data", "metadata", "correlationId", "userId", "sessionId", "source"] {
                #expect(stored[key] as? NSObject == expected[key] as? NSObject, "\(key) of \(id)")
            }
        }
        try await PipelineTests.expectReconciled(backends, events: events.count)
        let dead = try FileManager.default.contentsOfDirectory(atPath: fixture.appending(path: "dead").path).count
        try await eventually("nothing more is dead") {
            try await service.get("/metrics").text.contains(#"analytics_queue_messages{state="dead"} \#(dead)"#)
        }
    }

    @Test("A queue that a newer version has written stops the start with one line that names the file")
    func newerQueue() async throws {
        let backends = try TestBackends.embedded()
        let file = backends.directory.appending(path: "queue.sqlite")
        var bytes = try Data(contentsOf: try #require(Self.fixtures.first).appending(path: "queue.sqlite"))
        // https://www.sqlite.org/fileformat2.html#the_database_header: the user version.
        bytes.replaceSubrange(60..<64, with: [0, 0, 0, 99])
        try bytes.write(to: file)
        // Were it not refused, it would serve for ever.
        let result = try await Command.run(
            "/usr/bin/timeout", ["20", ServiceProcess.executable.path, "serve"],
            environment: ServiceProcess.environment(backends).merging(["LOG_LEVEL": "warning", "PORT": "0"]) { $1 },
            directory: backends.directory)
        #expect(result.status != 0)
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        #expect(result.errors.contains(file.path) && result.errors.contains("version 99"), "\(result.errors)")
    }
}
