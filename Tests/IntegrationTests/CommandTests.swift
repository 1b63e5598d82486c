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

    @Test("Dead letters are listed without what the events say, and stay; not while a service has the embedded queue")
    func deadLetters() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        let busy = try await Command.analytics(["dead-letters", "list"], backends)
        #expect(busy.status != 0 && busy.errors.split(separator: "\n").count == 1, "\(busy.errors)")
        for data in ["1", "\"other than before\""] {
            _ = try await service.post("/api/v1/events?wait=stored&timeout=20", #"{"id":"one","type":"a","source":"s","data":\#(data)}"#)
        }
        service.terminate()
        for _ in 0..<2 {
            let text = try await Command.analytics(["dead-letters", "list"], backends)
            #expect(text.status == 0 && text.output.contains("conflicting_id: project default, request "), "\(text.output) \(text.errors)")
            #expect(text.output.contains(", events one, attempts 1, ") && text.output.hasSuffix("No more.\n"), "\(text.output)")
        }
        let json = try await Command.analytics(["dead-letters", "list", "--json"], backends)
        #expect(json.output.contains(#""reason":"conflicting_id""#) && json.output.contains(#""eventIds":["one"]"#), "\(json.output)")
        #expect(!json.output.contains("other than before") && !json.output.contains("127.0.0"), "\(json.output)")
    }

    @Test("An answer with a proof is verified, and a late event explains why it has changed")
    func verify() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        func store(_ id: String) async throws {
            _ = try await service.post(
                "/api/v1/events?wait=stored&timeout=20",
                #"{"id":"\#(id)","type":"a","source":"s","timestamp":"2026-01-02T03:04:05Z","userId":"u-\#(id)","data":1}"#)
        }
        try await store("one")
        let answer = try await service.get("/api/v1/analytics/uniques?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&explain=proof")
        let file = backends.directory.appending(path: "answer.json")
        func result(_ text: String) async throws -> (status: Int32, output: String, errors: String) {
            try text.write(to: file, atomically: true, encoding: .utf8)
            let result = try await Command.analytics(["verify", file.path()], backends)
            return (result.status, result.output, result.errors)
        }
        let held = try await result(answer.text)
        #expect(held.status == 0 && held.output.hasPrefix("holds: /api/v1/analytics/uniques?"), "\(held)")
        try await store("two")
        let changed = try await result(answer.text)
        #expect(changed.status == 1 && changed.output.contains("total 1, now 2\n"), "\(changed)")
        #expect(changed.output.contains("minute 2026-01-02T03:04:00") && changed.output.contains(": late events"), "\(changed)")
        let forged = try await result(answer.text.replacing(#""total":1"#, with: #""total":2"#))
        #expect(forged.status == 2 && forged.errors.contains("forged") && forged.output.isEmpty, "\(forged)")
        let unreadable = try await result("{}")
        #expect(unreadable.status == 2 && unreadable.errors.contains("unreadable"), "\(unreadable)")
        let missing = try await Command.analytics(["verify", file.path() + ".no"], backends)
        #expect(missing.status == 3 && missing.errors.contains("cannot be"), "\(missing)")
        service.terminate()
    }

    @Test("Usage is shown by the month of receipt")
    func usage() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        for id in ["one", "two", "one"] {
            _ = try await service.post(
                "/api/v1/events?wait=stored&timeout=20",
                #"{"id":"\#(id)","type":"a","source":"s","timestamp":"2026-01-02T03:04:05Z","data":1}"#)
        }
        let month = String(Date.now.ISO8601Format().prefix(7))
        let text = try await Command.analytics(["usage"], backends)
        #expect(text.status == 0 && text.output.split(separator: "\n").count == 14, "\(text.output) \(text.errors)")
        #expect(text.output.contains("\(month)       2\n") && text.output.hasSuffix("(total)       2\n"), "\(text.output)")
        let json = try await Command.analytics(["usage", "--from", month, "--json"], backends)
        #expect(json.output.contains(#""total":2,"months":[{"month":"\#(month)","events":2,"days":["#), "\(json.output) \(json.errors)")
        let earlier = try await Command.analytics(["usage", "--from", "2025-12", "--to", "2026-01", "--json"], backends)
        #expect(earlier.output.contains(#""total":0"#) || month == "2026-01", "\(earlier.output)")
        for wrong in [["--from", "2026-1"], ["--from", "2026-02", "--to", "2026-01"], ["--project", "none"]] {
            let refused = try await Command.analytics(["usage"] + wrong, backends)
            #expect(refused.status != 0 && refused.output.isEmpty, "\(wrong) \(refused.output)")
        }
        service.terminate()
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
