import AsyncHTTPClient
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Requests to erase, by the API and by the command line beside a service at work.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ErasureCommandTests {
    private static func events(_ prefix: String, _ user: String, _ count: Int) -> String {
        let events = (0..<count).map { #"{"id":"\#(prefix)-\#($0)","type":"t","source":"s","userId":"\#(user)","data":{"n":\#($0)}}"# }
        return "[\(events.joined(separator: ","))]"
    }

    @Test("A user goes, others stay, and what was asked is not asked twice", arguments: PipelineTests.Kind.available)
    func erases(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        for (prefix, user, count) in [("a", "ann-of-tests", 30), ("b", "bob", 20), ("c", "carl", 10)] {
            let answer = try await service.post("/api/v1/events/batch?wait=stored&timeout=20", Self.events(prefix, user, count))
            #expect(answer.status == 200, "\(answer.text)")
        }
        let asked = try await Command.analytics(["erase", "--user", "ann-of-tests", "--json"], backends)
        #expect(asked.status == 0 && asked.output.contains(#""state":"requested""#), "\(asked.output) \(asked.errors)")
        try await eventually("they are gone", log: service.output) {
            (try await service.get("/api/v1/events?userId=ann-of-tests").json["events"] as? [Any])?.isEmpty == true
        }
        try await eventually("and not counted", log: service.output) { try await service.total() == 30 }

        let refused = try await Command.analytics(["erase"], backends)
        #expect(refused.status != 0 && refused.errors.contains("--user"), "\(refused.errors)")
        let some = try await Command.analytics(["erase", "--user", "bob", "--data", "n=7", "--type", "t"], backends)
        #expect(some.status == 0, "\(some.errors)")
        try await eventually("one of Bob's is gone", log: service.output) { try await service.total() == 29 }
        let status = try await Command.analytics(["erase", "status"], backends)
        #expect(status.output.split(separator: "\n").count == 2 && status.output.contains("30 events deleted"), "\(status.output)")
        let list = try await service.get("/api/v1/erasures").json["erasures"] as? [[String: Any]]
        #expect(list?.compactMap { $0["deletedEvents"] as? Int } == [1, 30] || list?.count == 2, "\(list ?? [])")

        let exported = try await Command.analytics(["erase", "export"], backends)
        #expect(exported.output.split(separator: "\n").count == 2 && !exported.output.contains("ann"), "\(exported.output)")
        let file = backends.directory.appending(path: "tombstones.txt")
        try Data(exported.output.utf8).write(to: file)
        let imported = try await Command.analytics(["erase", "import", file.path], backends)
        #expect(imported.status == 0 && imported.output.contains("2 erasures"), "\(imported.output) \(imported.errors)")
        let unknown = try await Command.analytics(["erase", "again", "unknown"], backends)
        #expect(unknown.status != 0 && unknown.errors.contains("unknown"), "\(unknown.errors)")
        try await PipelineTests.expectReconciled(backends, events: 29)
    }
}
