import CoreMetrics
import Foundation
import PrometheusExposition
import Testing

/// What Prometheus' own linter says about the exposition.
@Suite("promtool check metrics")
struct PromtoolTests {
    private static let promtool = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/usr/local/bin")
        .split(separator: ":").map { "\($0)/promtool" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test("it has nothing to say about anything that can be exposed", .enabled(if: promtool != nil, "promtool is not installed"))
    func lint() throws {
        let exposition = Exposition(
            [
                MetricDescriptor(name: "http_requests_total", kind: .counter, help: "Requests."),
                MetricDescriptor(name: "http_requests_in_flight", kind: .gauge, help: "Being answered."),
                MetricDescriptor(name: "http_request_duration_seconds", kind: .histogram, help: "Time to answer.\nAll of it: \\ \"."),
            ],
            limits: .init(seriesPerMetric: 5, undeclaredMetrics: 20)
        )
        exposition.registry.exposeProcessMetrics()
        exposition.registry.exposeBuildInfo("analytics_build_info", labels: [("version", "1.0.0"), ("commit", "")])
        for status in 200..<210 {
            let labels = [("method", "GET"), ("route", "/a/\"b\"\\\n\u{1F980}"), ("status", "\(status)")]
            exposition.counter("http_requests_total", labels).increment()
            exposition.timer("http_request_duration_seconds", labels).recordMilliseconds(status)
        }
        exposition.meter("http_requests_in_flight").set(-0.5)
        exposition.counter("hb.requestErrors", [("error.Type", "x"), ("__name__", "y")]).increment()
        exposition.timer("job.duration").recordSeconds(3)
        exposition.recorder("Batch size").record(12)
        exposition.gauge("temperature").record(Double.nan)
        exposition.meter("job_duration_seconds").set(1)
        for index in 0..<30 { exposition.counter("wild.\(index)").increment() }

        let complaints = try Self.check(exposition.registry.render())
        #expect(complaints.status == 0)
        #expect(complaints.output.isEmpty, "\(complaints.output)")
    }

    @Test("an empty registry is an exposition too", .enabled(if: promtool != nil, "promtool is not installed"))
    func empty() throws {
        let complaints = try Self.check(Exposition().registry.render())
        #expect(complaints.status == 0)
        #expect(complaints.output.isEmpty, "\(complaints.output)")
    }

    private static func check(_ metrics: [UInt8]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(promtool))
        process.arguments = ["check", "metrics"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        // promtool reads all of its input before it writes, so that neither pipe can fill while the other waits.
        try input.fileHandleForWriting.write(contentsOf: Data(metrics))
        try input.fileHandleForWriting.close()
        let complaints = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: complaints, as: UTF8.self))
    }
}
