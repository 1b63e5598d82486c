import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ExportTests {
    private static let count = 30_000

    private func service(_ backends: TestBackends) async throws -> ServiceProcess {
        let service = try await ServiceProcess.serve(backends)
        for start in stride(from: 0, to: Self.count, by: 10_000) {
            let lines = (start..<start + 10_000).map {
                #"{"id":"e\#($0)","type":"t\#($0 % 3)","source":"=s","data":{"n":\#($0),"text":"\#(String(repeating: "é\($0)", count: 20))"}}"#
            }
            let answer = try await service.post(
                "/api/v1/events/batch?wait=stored&timeout=30", lines.joined(separator: "\n"), type: "application/x-ndjson")
            #expect(answer.status == 200, "\(answer.text.prefix(300))")
        }
        return service
    }

    private func ids(_ file: URL) async throws -> [String] {
        let gzip = file.pathExtension == "gz"
        let text =
            gzip
            ? try await Command.run("/bin/gzip", ["-dc", file.path], environment: [:], directory: file.deletingLastPathComponent()).output
            : try String(contentsOf: file, encoding: .utf8)
        return text.split(separator: "\n").compactMap { $0.firstMatch(of: #/"id":"(e[0-9]+)"/#).map { String($0.1) } }
    }

    @Test("An export that is killed again and again goes on where it was, and has each event once")
    func killedAndResumed() async throws {
        let backends = try TestBackends.embedded()
        let service = try await service(backends)
        defer { service.terminate() }
        for name in ["events.ndjson", "events.ndjson.gz"] {
            let file = backends.directory.appending(path: name)
            let arguments = ["export", file.path, "--url", service.url]
            for kill in 1...3 {
                let killed = try ServiceProcess(arguments, backends: backends)
                let part = file.path + ".part"
                let before = (try? FileManager.default.attributesOfItem(atPath: part)[.size] as? Int) ?? 0
                try await eventually("some more is brought", log: killed.output) {
                    let size = (try? FileManager.default.attributesOfItem(atPath: part)[.size] as? Int) ?? 0
                    return size > before || FileManager.default.fileExists(atPath: file.path)
                }
                killed.kill()
                #expect(
                    kill > 1 || !FileManager.default.fileExists(atPath: file.path),
                    "the export was over before it was killed: this shows nothing")
            }
            if !FileManager.default.fileExists(atPath: file.path) {
                let resumed = try await Command.analytics(arguments, backends)
                #expect(resumed.status == 0 && resumed.output.hasPrefix("\(Self.count) events in "), "\(resumed.output) \(resumed.errors)")
            }
            let ids = try await ids(file)
            #expect(ids.count == Self.count && Set(ids).count == Self.count)
            let left = try FileManager.default.contentsOfDirectory(atPath: backends.directory.path).filter {
                $0.hasPrefix(name + ".") && !$0.hasSuffix(".gz")
            }
            #expect(left.isEmpty, "\(left)")
            let again = try await Command.analytics(arguments, backends)
            #expect(again.status != 0 && again.errors.contains("exists already"), "\(again.errors)")
        }
    }

    @Test("A file is written by one export, and a part that is not what its state says is not gone on with")
    func oneFile() async throws {
        let backends = try TestBackends.embedded()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events.ndjson").path
        let arguments = ["export", file, "--url", service.url]
        let held = open(file + ".part", O_RDWR | O_CREAT, 0o600)
        try #require(held >= 0 && flock(held, LOCK_EX) == 0)
        let second = try await Command.analytics(arguments, backends)
        #expect(second.status != 0 && second.errors.contains("another export writes \(file).part"), "\(second.errors)")
        close(held)
        let state = #"{"version":1,"request":"\#(service.url) ndjson","bytes":9,"events":1,"place":{"beginning":{}}}"#
        try Data(state.utf8).write(to: URL(fileURLWithPath: file + ".export"))
        let short = try await Command.analytics(arguments, backends)
        #expect(short.status != 0 && short.errors.contains("is shorter than \(file).export says"), "\(short.errors)")
        let whole = try await Command.analytics(arguments + ["--restart"], backends)
        #expect(whole.status == 0 && FileManager.default.fileExists(atPath: file), "\(whole.errors)")
    }

    @Test("An export goes on over a restart of the service, and filters and formats are the route's")
    func restarted() async throws {
        let backends = try TestBackends.embedded()
        var service = try await service(backends)
        let file = backends.directory.appending(path: "events.csv")
        let arguments = ["export", file.path, "type=t1", "--url", service.url]
        let export = try ServiceProcess(arguments, backends: backends)
        try await eventually("some is brought", log: export.output) { FileManager.default.fileExists(atPath: file.path + ".part") }
        service.terminate()
        service = try await ServiceProcess.serve(backends, port: service.port)
        defer { service.terminate() }
        try await eventually("all is brought", log: export.output) { FileManager.default.fileExists(atPath: file.path) }
        let text = try String(contentsOf: file, encoding: .utf8)
        let rows = text.utf8.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        #expect(rows.count == 1 + Self.count / 3 && rows[0].hasPrefix("project,id,type,source,"))
        #expect(rows.dropFirst().allSatisfy { $0.contains(",t1,\"'=s\",") } && Set(rows).count == rows.count)
        let wrong = try await Command.analytics(["export", file.path + "2", "limit=1", "--url", service.url], backends)
        #expect(wrong.status != 0 && wrong.errors.contains("'limit' is no parameter"), "\(wrong.errors)")
    }
}
