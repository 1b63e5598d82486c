import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(5)))
struct ProcessorKillTests {
    @Test("kill -9 of the processor, again and again in the middle of an import, changes no count")
    func killedProcessor() async throws {
        let backends = try await TestBackends.real()
        let api = try await ServiceProcess.serve(backends, role: "api")
        defer { api.terminate() }

        let rows = 40_000
        let file = backends.directory.appending(path: "events.ndjson")
        let lines = (0..<rows).map { row in
            #"{"id":"e\#(row)","type":"t\#(row % 7)","source":"s\#(row % 3)","#
                + #""timestamp":\#(1_760_000_000_000 + row * 1_009),"data":{"n":\#(row)}}"#
        }
        try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)

        async let imported = Command.analytics(
            ["import", file.path, "--url", api.url, "--batch", "500", "--no-wait"], backends)
        for kills in 0..<4 {
            let processor = try await ServiceProcess.serve(backends, role: "processor")
            // Killed while it is at work: once it has stored some more.
            let before = try await api.total()
            try await eventually("the processor stores", log: processor.output) { try await api.total() > before || before == rows }
            processor.kill()
            if kills == 3 { #expect(before < rows, "the import was over before the last kill: it shows nothing") }
        }
        let result = try await imported
        #expect(result.output.hasPrefix("\(rows) accepted"), "\(result.output) \(result.errors)")

        let processor = try await ServiceProcess.serve(backends, role: "processor")
        defer { processor.terminate() }
        try await eventually("everything is counted", within: .seconds(60), log: processor.output) { try await api.total() == rows }
        let byType = try await api.get("/api/v1/events/counts").json["counts"] as? [String: Int]
        #expect(byType == Dictionary(uniqueKeysWithValues: (0..<7).map { type in ("t\(type)", (0..<rows).count { $0 % 7 == type }) }))
        try await PipelineTests.expectReconciled(backends, events: rows)
        #expect(try await processor.get("/metrics").text.contains(#"analytics_queue_messages{state="dead"} 0"#))
    }
}
