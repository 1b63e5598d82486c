import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ImportTests {
    @Test("An import without ids that is killed and goes on in other batches stores each line once; what is added is added")
    func killedAndResumed() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events.ndjson")
        try Self.lines(0..<30_000).write(to: file, atomically: true, encoding: .utf8)
        let arguments = ["import", file.path, "--url", service.url]

        let killed = try ServiceProcess(arguments + ["--batch", "200", "--in-flight", "3"], backends: backends)
        try await eventually("the import is under way", log: killed.output) { try await service.total() > 3_000 }
        killed.kill()
        #expect(try await service.total() < 30_000, "the import was over before it was killed: this shows nothing")

        let resumed = try await Command.analytics(arguments + ["--batch", "777"], backends)
        #expect(resumed.status == 0, "\(resumed.output) \(resumed.errors)")
        #expect(try await service.total() == 30_000)
        let third = try await Command.analytics(arguments + ["--batch", "333"], backends)
        #expect(try await service.total() == 30_000, "\(third.output) \(third.errors)")

        let handle = try FileHandle(forWritingTo: file)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(Self.lines(30_000..<31_000).utf8))
        try handle.close()
        let grown = try await Command.analytics(arguments + ["--batch", "100"], backends)
        #expect(try await service.total() == 31_000, "\(grown.output) \(grown.errors)")
        #expect(grown.output.hasPrefix("1000 accepted, 0 duplicate, 0 rejected"), "\(grown.output)")
        let again = try await Command.analytics(arguments + ["--restart"], backends)
        #expect(again.output.hasPrefix("0 accepted, 31000 duplicate, 0 rejected"), "\(again.output) \(again.errors)")
        try await PipelineTests.expectReconciled(backends, events: 31_000)
    }

    @Test("A CSV is imported through a mapping; sent again everything is a duplicate")
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
        #expect(first.errors.contains("line 2502: invalid_timestamp"), "\(first.errors)")
        #expect(first.status == 1, "rejections are told by the exit status")
        let second = try await Command.analytics(arguments + ["--restart"], backends)
        #expect(second.output.hasPrefix("0 accepted, 2500 duplicate, 1 rejected"), "\(second.output) \(second.errors)")
        #expect(try await service.total("?source=shop,%201") == 833)
        try await PipelineTests.expectReconciled(backends, events: 2_500)
    }

    @Test("A file that changed is noticed; sent all the same it is another import, if its first line is another")
    func changedFile() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events.ndjson")
        func run(_ type: String, _ arguments: [String] = []) async throws -> Command.Result {
            let line = #"{"type":"\#(type)","source":"s","data":1,"timestamp":"2026-01-01T00:00:00Z"}"# + "\n"
            try String(repeating: line, count: 100).write(to: file, atomically: true, encoding: .utf8)
            return try await Command.analytics(["import", file.path, "--url", service.url] + arguments, backends)
        }
        #expect(try await run("a").output.hasPrefix("100 accepted, 0 duplicate"))
        let changed = try await run("b")
        #expect(changed.status == 1 && changed.output.isEmpty, "\(changed.output)")
        #expect(changed.errors.split(separator: "\n").count == 1 && changed.errors.contains("--restart"), "\(changed.errors)")
        for (type, outcome) in [("b", "100 accepted, 0"), ("a", "0 accepted, 100"), ("b", "0 accepted, 100")] {
            let result = try await run(type, ["--restart"])
            #expect(result.output.hasPrefix(outcome + " duplicate"), "\(result.output) \(result.errors)")
        }
        #expect(try await service.get("/api/v1/events/counts").json["counts"] as? [String: Int] == ["a": 100, "b": 100])
    }

    @Test("Standard input needs a name, and goes on where it ended if its progress is kept")
    func standardInput() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events")
        func run(_ lines: Int, _ arguments: String) async throws -> Command.Result {
            try Self.lines(0..<lines).write(to: file, atomically: true, encoding: .utf8)
            let command = "'\(ServiceProcess.executable.path)' import - --url \(service.url) \(arguments) < '\(file.path)'"
            return try await Command.run("/bin/sh", ["-c", command], directory: backends.directory)
        }
        let nameless = try await run(10, "")
        #expect(nameless.status == 1 && nameless.errors.split(separator: "\n").count == 1 && nameless.errors.contains("--name"))
        #expect(try await run(10, "--name n").output.hasPrefix("10 accepted, 0 duplicate"))
        #expect(try await run(10, "--name n --state s --no-gzip").output.hasPrefix("0 accepted, 10 duplicate"))
        #expect(try await run(15, "--name n --state s").output.hasPrefix("5 accepted, 0 duplicate"))
        #expect(try await run(15, "--name other --no-wait").output.hasPrefix("15 accepted, duplicates not counted"))
        try await eventually("both imports are counted") { try await service.total() == 30 }
    }

    @Test("Lines of a megabyte are refused one by one, with their numbers in the file")
    func longLines() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let long = #"{"type":"t","source":"s","data":""# + String(repeating: "x", count: 1 << 20) + "\"}\r\n"
        let file = backends.directory.appending(path: "events.ndjson")
        try ("\u{FEFF}\r\n" + Self.lines(0..<3) + String(repeating: long, count: 30) + "\n" + Self.lines(3..<5))
            .write(to: file, atomically: true, encoding: .utf8)
        let result = try await Command.analytics(["import", file.path, "--url", service.url, "--in-flight", "1"], backends)
        #expect(result.output.hasPrefix("5 accepted, 0 duplicate, 30 rejected"), "\(result.output) \(result.errors)")
        #expect(result.errors.hasPrefix("line 5: event_too_large"), "\(result.errors)")
    }

    /// Many of them are the same.
    private static func lines(_ rows: Range<Int>) -> String {
        rows.map { row in
            #"{"type":"t\#(row % 7)","source":"s","data":{"n":\#(row % 10)},"timestamp":\#(1_760_000_000_000 + row % 10 * 60_000)}"# + "\n"
        }.joined()
    }
}
