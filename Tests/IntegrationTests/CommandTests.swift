import Foundation
import Testing

@Suite(.timeLimit(.minutes(3)))
struct CommandTests {
    @Test(
        "A wrong setting stops the start with one line that names it",
        arguments: [
            ("PORT", "http"), ("LOG_LEVEL", "loud"), ("MONGODB_URI", "localhost:27017"), ("RABBITMQ_URL", "http://x"),
            ("ENABLE_METRICS", "maybe"), ("RETENTION_DAYS", "-1"), ("MAX_BODY_BYTES", "1"), ("DATA_DIR", "/dev/null/x"),
            ("REDIS_PORT", "x"),
        ])
    func wrongSetting(_ name: String, _ value: String) async throws {
        let backends = try TestBackends.embedded()
        let result = try await Command.analytics(["serve"], backends, settings: [name: value])
        #expect(result.status != 0)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(result.errors)")
        #expect(lines.first?.contains(name) == true && lines.first?.contains(value) == true, "\(result.errors)")
    }

    @Test("A role of its own needs shared backends")
    func roleNeedsBackends() async throws {
        let result = try await Command.analytics(["serve", "--role", "api"], try .embedded())
        #expect(result.status != 0)
        #expect(result.errors.contains("MONGODB_URI"))
    }

    @Test("Settings are read from .env, and the environment wins")
    func dotEnv() async throws {
        let backends = try TestBackends.embedded()
        try "LOG_LEVEL=loud\nPORT=1\n".write(to: backends.directory.appending(path: ".env"), atomically: true, encoding: .utf8)
        let wrong = try await Command.run(
            ServiceProcess.executable.path, ["serve"],
            environment: ["PATH": "/usr/bin:/bin"], directory: backends.directory)
        #expect(wrong.errors.contains("LOG_LEVEL=loud"), "\(wrong.errors)")
        let service = try await ServiceProcess.serve(backends)
        #expect(service.terminate() == 0)
    }

    @Test("A CSV is imported through a mapping; a second time everything is a duplicate")
    func importTwice() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        var csv = "when,who,what,amount\n"
        for row in 0..<2_500 {
            csv += "2026-01-\(10 + row % 20)T00:00:00Z,\"shop, \(row % 3)\",sale,\(row)\n"
        }
        csv += "never,x,sale,1\n"
        let file = backends.directory.appending(path: "sales.csv")
        try csv.write(to: file, atomically: true, encoding: .utf8)
        let arguments = [
            "import", file.path, "--url", service.url, "--batch", "300", "--map", "type={what}", "--map", "source={who}", "--map",
            "timestamp={when}",
        ]
        let first = try await Command.analytics(arguments, backends)
        #expect(first.output.hasPrefix("2500 accepted, 0 duplicate, 1 rejected"), "\(first.output) \(first.errors)")
        #expect(first.errors.contains("record 2501: invalid_timestamp"), "\(first.errors)")
        #expect(first.status == 1, "rejections are told by the exit status")
        let second = try await Command.analytics(arguments, backends)
        #expect(second.output.hasPrefix("0 accepted, 2500 duplicate, 1 rejected"), "\(second.output) \(second.errors)")
        #expect(try await service.total("?source=shop,%201") == 833)
        try await PipelineTests.expectReconciled(backends, events: 2_500)
    }

    @Test("Two files of one name without ids are two imports, and each of them twice is one")
    func importOfTheSameName() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events.ndjson")
        for (type, outcome) in [("a", "100 accepted, 0"), ("b", "100 accepted, 0"), ("a", "0 accepted, 100"), ("b", "0 accepted, 100")] {
            let line = #"{"type":"\#(type)","source":"s","data":1,"timestamp":"2026-01-01T00:00:00Z"}"# + "\n"
            try String(repeating: line, count: 100).write(to: file, atomically: true, encoding: .utf8)
            let result = try await Command.analytics(["import", file.path, "--url", service.url], backends)
            #expect(result.output.hasPrefix(outcome + " duplicate"), "\(result.output) \(result.errors)")
        }
        #expect(try await service.get("/api/v1/events/counts").json["counts"] as? [String: Int] == ["a": 100, "b": 100])
    }

    @Test("Rollups are rebuilt from the events")
    func rebuild() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        _ = try await service.post("/api/v1/events?wait=stored&timeout=20", #"{"type":"a","source":"s","data":1}"#)
        service.terminate()
        let result = try await Command.analytics(["rebuild-rollups"], backends)
        #expect(result.status == 0 && result.output.contains("minutes counted anew"), "\(result.output) \(result.errors)")
        try await PipelineTests.expectReconciled(backends, events: 1)
    }
}
