import Foundation
import TestSupport
import Testing

/// How long events are kept is a setting of the store, and no setting of a process makes counts fall.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RetentionTests {
    private static let day = 86_400.0

    /// Whole minutes, in RFC 3339.
    /// The beginning of the minute in which the suite began: the same for all of a test's times.
    private static let minute = (Date().timeIntervalSince1970 / 60).rounded(.down) * 60

    private static func time(daysAgo days: Double, plus seconds: Double = 0) -> String {
        Date(timeIntervalSince1970: minute - days * day + seconds).formatted(.iso8601)
    }

    private static func store(_ count: Int, _ prefix: String, at time: String, in service: ServiceProcess) async throws {
        let events = (0..<count).map { #"{"id":"\#(prefix)-\#($0)","type":"t","source":"s","timestamp":"\#(time)","data":null}"# }
        let answer = try await service.post("/api/v1/events/batch?wait=stored&timeout=20", "[\(events.joined(separator: ","))]")
        #expect(answer.status == 200 && answer.json["stored"] as? Int == count, "\(answer.text)")
    }

    private static func rebuild(_ backends: TestBackends, settings: [String: String] = [:]) async throws {
        let result = try await Command.analytics(["rebuild-rollups"], backends, settings: settings)
        #expect(result.status == 0, "\(result.output) \(result.errors)")
    }

    @Test("Another RETENTION_DAYS is told, deletes nothing, and changes no count", arguments: PipelineTests.Kind.available)
    func anotherSetting(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let old = Self.time(daysAgo: 100)
        var service = try await ServiceProcess.serve(backends, settings: ["RETENTION_DAYS": "1000"])
        try await Self.store(100, "old", at: old, in: service)
        service.terminate()

        // Less: everything would be deleted.
        service = try await ServiceProcess.serve(backends, settings: ["RETENTION_DAYS": "10"])
        let line = service.output().split(separator: "\n").filter { $0.contains("RETENTION_DAYS") }
        #expect(line.count == 1 && line[0].contains("10") && line[0].contains("default: 1000"), "\(line)")
        #expect(line.first?.contains("analytics retention set 10 --project default") == true, "\(line)")
        try await Self.store(1, "more", at: old, in: service)
        #expect(try await service.total() == 101)
        service.terminate()
        try await Self.rebuild(backends, settings: ["RETENTION_DAYS": "10"])

        // More again, and none at all.
        service = try await ServiceProcess.serve(backends, settings: ["RETENTION_DAYS": "1000"])
        try await Self.store(1, "still more", at: old, in: service)
        #expect(try await service.total() == 102)
        service.terminate()
        try await Self.rebuild(backends)
        service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        #expect(try await service.total() == 102)
        let shown = try await Command.analytics(["retention"], backends)
        #expect(shown.output == "project default: 1000 days; no event is deleted\n", "\(shown.output) \(shown.errors)")
        try await PipelineTests.expectReconciled(backends, events: 102)
    }

    @Test("A lower retention deletes events and keeps their counts, whatever is set and rebuilt afterwards")
    func lowered() async throws {
        // Both at once: each waits half a minute for the new retention to be known everywhere.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for kind in PipelineTests.Kind.available { group.addTask { try await Self.lower(try await kind.backends()) } }
            try await group.waitForAll()
        }
    }

    private static func lower(_ backends: TestBackends) async throws {
        let (old, young) = (time(daysAgo: 100), time(daysAgo: 1))
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        try await store(100, "old", at: old, in: service)
        try await store(3, "young", at: young, in: service)
        let set = try await Command.analytics(["retention", "set", "10"], backends)
        #expect(set.output.hasPrefix("project default: 10 days"), "\(set.output) \(set.errors)")
        try await eventually("old events are deleted", within: .seconds(120), log: service.output) {
            (try await service.get("/api/v1/events?to=\(young)").json["events"] as? [Any])?.isEmpty == true
        }
        #expect(try await service.total() == 103)

        // No raise brings them back, and what comes late cannot replace them.
        _ = try await Command.analytics(["retention", "set", "1000"], backends)
        let event = #"{"id":"late","type":"t","source":"s","timestamp":"\#(old)","data":null}"#
        try await eventually("a late event is rejected", log: service.output) {
            let answer = try await service.post("/api/v1/events?wait=stored&timeout=20", event)
            return answer.status == 400
                && (answer.json["code"] as? String == "timestamp_too_old" || answer.json["status"] as? String == "dead_lettered")
        }
        try await rebuild(backends)
        #expect(try await service.total() == 103)
        #expect(try await service.total("?from=\(old)&to=\(time(daysAgo: 100, plus: 60))") == 100)
        let cut = try await service.get("/api/v1/events/counts?from=\(time(daysAgo: 100, plus: 30))")
        #expect(cut.status == 400 && cut.json["code"] as? String == "expired_range", "\(cut.text)")
        try await PipelineTests.expectReconciled(backends, events: 3)
        let shown = try await Command.analytics(["retention"], backends)
        #expect(shown.output.hasPrefix("project default: 1000 days; events before "), "\(shown.output)")
    }

    @Test("A store of a newer version is refused in one line", arguments: ["serve", "reconcile", "retention"])
    func newerStore(command: String) async throws {
        let backends = try TestBackends.embedded()
        _ = try await Command.analytics(["retention"], backends)
        // The user version stands at offset 60 of the header, big-endian (https://www.sqlite.org/fileformat.html).
        let file = try FileHandle(forUpdating: backends.directory.appending(path: "events.sqlite"))
        try file.seek(toOffset: 60)
        try file.write(contentsOf: Data([0, 0, 0, 99]))
        try file.close()
        let result = try await Command.analytics([command], backends)
        #expect(result.status != 0)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains("schema version 99") == true, "\(result.errors)")
    }

    @Test("A store and a queue of version 1 are upgraded: every count stays, through a rebuild too, and the queue is worked off")
    func upgrade() async throws {
        let backends = try TestBackends.embedded()
        let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/v1/sqlite")
            .standardizedFileURL
        for name in ["events.sqlite", "queue.sqlite"] {
            try FileManager.default.copyItem(at: fixture.appending(path: name), to: backends.directory.appending(path: name))
        }
        let expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: fixture.appending(path: "expected.json")))
        let stored = expected.stored.filter { $0.project == "default" }.reduce(0) { $0 + $1.count }
        try await Self.rebuild(backends, settings: ["RETENTION_DAYS": "0"])
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let total = stored + expected.queued.reduce(0) { $0 + $1.count }
        try await eventually("the queue is worked off", log: service.output) { try await service.total() == total }
        try await Self.rebuild(backends)
        #expect(try await service.total() == total)
        let reconciled = try await Command.analytics(["reconcile"], backends)
        #expect(reconciled.status == 0, "\(reconciled.output)")
    }

    private struct Expected: Decodable {
        struct Count: Decodable {
            var project: String
            var count: Int
        }

        var stored: [Count]
        var queued: [Count]
    }
}
