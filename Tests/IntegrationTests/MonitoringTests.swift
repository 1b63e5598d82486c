import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(5)))
struct MonitoringTests {
    @Test("promtool finds nothing to say about /metrics")
    func lint() async throws {
        let service = try await ServiceProcess.serve(try await .real())
        defer { service.terminate() }
        _ = try await service.post("/api/v1/events?wait=stored&timeout=20", #"{"type":"a","source":"s","data":1}"#)
        let stored = #"analytics_events_stored_by_type_total{project="default",type="a"} 1"#
        #expect(try await service.get("/metrics").text.contains(stored))
        let file = FileManager.default.temporaryDirectory.appending(path: "metrics-\(UUID().uuidString).txt")
        defer { try? FileManager.default.removeItem(at: file) }
        try await service.get("/metrics").body.write(to: file)
        let result = try await Command.run("/bin/sh", ["-c", "promtool check metrics < '\(file.path)'"])
        #expect(result.status == 0 && result.output.isEmpty && result.errors.isEmpty, "\(result.output)\(result.errors)")
    }

    @Test("Every panel's query gives data, on a real Prometheus that scrapes the real service, and on that service")
    func dashboards() async throws {
        let folder = try #require(ProcessInfo.processInfo.environment["STACK_DIR"])
        let service = try await ServiceProcess.serve(try await .real())
        defer { service.terminate() }
        let targets = URL(fileURLWithPath: folder).appending(path: "prometheus/targets/test-\(service.port).json")
        try #"[{"targets":["127.0.0.1:\#(service.port)"]}]"#.write(to: targets, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: targets) }
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../scripts/check-dashboards.py")

        // Traffic of every kind until rates over several scrapes exist.
        try await eventually("every panel has data", within: .seconds(120)) {
            let event = #"{"type":"a","source":"s","userId":"u","data":{"url":"https://shop.example/a"}}"#
            _ = try await service.post("/api/v1/events/batch", "[\(event),{\"type\":\"a\"}]")
            for _ in 0..<2 { _ = try await service.get("/api/v1/events/counts") }
            _ = try await service.get("/api/v1/events?limit=1")
            _ = try await service.get("/nowhere")
            let last = try await Command.run(
                "/usr/bin/env",
                [
                    "python3", script.path, TestServices.current!.prometheusURL, "--service", service.url, "--require-data",
                    "--rate-interval", "20s",
                ])
            if last.status != 0 { print(last.output, last.errors) }
            return last.status == 0
        }
    }
}
