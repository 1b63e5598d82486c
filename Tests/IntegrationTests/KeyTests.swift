import AnalyticsCore
import Foundation
import TestSupport
import Testing

/// Keys and projects: commands beside a service at work.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct KeyTests {
    static let counts = "/api/v1/events/counts"
    static let stored = "/api/v1/events?wait=stored&timeout=20"

    static func event(_ id: String) -> String { #"{"id":"\#(id)","type":"a","source":"s","data":1}"# }

    static func bearer(_ key: String) -> [(String, String)] { [("authorization", "Bearer \(key)")] }

    private struct Made: Decodable {
        var id: String
        var key: String
        var project: String
        var scope: String
    }

    private static func made(_ arguments: [String], _ backends: TestBackends) async throws -> Made {
        let result = try await Command.analytics(["keys"] + arguments + ["--json"], backends)
        #expect(result.status == 0, "\(result.output) \(result.errors)")
        return try JSONDecoder().decode(Made.self, from: Data(result.output.utf8))
    }

    private static func key(_ project: String, _ scope: String, _ backends: TestBackends) async throws -> String {
        let made = try await made(["create", "--project", project, "--scope", scope], backends)
        #expect(made.project == project && made.scope == scope)
        return made.key
    }

    private static func create(_ project: String, _ backends: TestBackends) async throws {
        let result = try await Command.analytics(["projects", "create", project], backends)
        #expect(result.status == 0, "\(result.output) \(result.errors)")
    }

    static func expect(
        _ answer: ServiceProcess.Answer, _ status: UInt, _ code: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            answer.status == status && answer.json["code"] as? String == code, "\(answer.status) \(answer.text)",
            sourceLocation: sourceLocation)
    }

    @Test(
        "The first key closes a running service to requests without one; a write key writes and does not read",
        arguments: PipelineTests.Kind.available)
    func firstKey(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends, settings: ["LOG_LEVEL": "trace"])
        defer { service.terminate() }
        #expect(service.output().contains("analytics keys create --project default --scope write"))
        #expect(try await service.post(Self.stored, Self.event("e-0")).status == 200)

        let first = try await Command.analytics(["keys", "create", "--project", "default", "--scope", "write"], backends)
        let write = String(first.output.dropLast())
        #expect(first.status == 0 && first.output == write + "\n" && APIKey(write) != nil, "\(first.output) \(first.errors)")
        #expect(first.errors.contains("first key") && !first.errors.contains(write), "\(first.errors)")
        try await eventually("requests without a key are refused", within: .seconds(5), log: service.output) {
            try await service.get(Self.counts).status == 401
        }
        let refused = try await service.post(Self.stored, Self.event("e-1"))
        Self.expect(refused, 401, "missing_key")
        #expect(refused.headers["www-authenticate"] == #"Bearer realm="analytics""#)

        let basic = Data("\(write):".utf8).base64EncodedString()
        for headers in [Self.bearer(write), [("x-api-key", write)], [("authorization", "Basic \(basic)")]] {
            let answer = try await service.post(Self.stored, Self.event("e-1"), headers: headers)
            #expect(answer.status == 200, "\(answer.text)")
        }
        let page = try await service.post(Self.stored + "&key=\(write)", Self.event("e-1"))
        #expect(page.status == 200, "\(page.text)")
        Self.expect(try await service.get(Self.counts, headers: Self.bearer(write)), 403, "insufficient_scope")

        let read = try await Self.key("default", "read", backends)
        let counted = try await service.get(Self.counts, headers: Self.bearer(read))
        #expect(counted.status == 200 && counted.json["total"] as? Int == 2, "\(counted.text)")
        Self.expect(try await service.post(Self.stored, Self.event("e-2"), headers: Self.bearer(read)), 403, "insufficient_scope")

        let unknown = APIKey(project: "default", scope: .read).text
        for wrong in [unknown, String(read.dropLast()), "x"] {
            Self.expect(try await service.get(Self.counts, headers: Self.bearer(wrong)), 401, "invalid_key")
        }
        let log = service.output()
        for secret in [write, read, unknown, basic] { #expect(!log.contains(secret)) }
        let list = try await Command.analytics(["keys", "list"], backends)
        #expect(list.output.split(separator: "\n").count == 2 && !list.output.contains(write), "\(list.output) \(list.errors)")
    }

    @Test("A key sees nothing of another project", arguments: PipelineTests.Kind.available)
    func otherProject(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let unknown = try await Command.analytics(["keys", "create", "--project", "shop", "--scope", "read"], backends)
        #expect(unknown.status != 0 && unknown.errors.contains("analytics projects create shop"), "\(unknown.errors)")
        for project in ["shop", "zoo"] { try await Self.create(project, backends) }
        let again = try await Command.analytics(["projects", "create", "shop"], backends)
        #expect(again.status != 0 && again.errors.contains("'shop'"), "\(again.errors)")
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let write = try await Self.key("shop", "write", backends)
        #expect(try await service.post(Self.stored, Self.event("e-1"), headers: Self.bearer(write)).status == 200)

        let shop = Self.bearer(try await Self.key("shop", "admin", backends))
        #expect(try await service.get(Self.counts, headers: shop).json["total"] as? Int == 1)
        #expect(try await service.get("/api/v1/events/e-1", headers: shop).status == 200)
        for project in ["zoo", "default"] {
            let other = Self.bearer(try await Self.key(project, "admin", backends))
            #expect(try await service.get(Self.counts, headers: other).json["total"] as? Int == 0)
            #expect(try await service.get("/api/v1/events/e-1", headers: other).status == 404)
            #expect((try await service.get("/api/v1/events", headers: other).json["events"] as? [Any])?.isEmpty == true)
            Self.expect(try await service.get("/api/v1/projects/shop", headers: other), 404, "project_not_found")
            Self.expect(try await service.get("/api/v1/projects/shop/keys", headers: other), 404, "project_not_found")
        }
    }

    @Test("A revoked and a rotated key are refused within 30 s, and anonymous access stays closed", arguments: PipelineTests.Kind.available)
    func revoked(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let arguments = ["create", "--project", "default", "--scope", "read", "--expires", "30d"]
        let (revoked, rotated) = (try await Self.made(arguments, backends), try await Self.made(arguments, backends))
        for key in [revoked.key, rotated.key] { #expect(try await service.get(Self.counts, headers: Self.bearer(key)).status == 200) }

        let result = try await Command.analytics(["keys", "revoke", revoked.id], backends)
        #expect(result.status == 0 && result.output.contains("revoked 2"), "\(result.output) \(result.errors)")
        let new = try await Self.made(["rotate", rotated.id, "--overlap", "0s"], backends)
        #expect(try await service.get(Self.counts, headers: Self.bearer(new.key)).status == 200)
        for (key, code) in [(revoked.key, "revoked_key"), (rotated.key, "expired_key")] {
            try await eventually("it is refused as \(code)", within: .seconds(30), log: service.output) {
                let answer = try await service.get(Self.counts, headers: Self.bearer(key))
                return answer.status == 401 && answer.json["code"] as? String == code
            }
        }
        for arguments in [["rotate", revoked.id], ["rotate", rotated.id], ["revoke", "0123"]] {
            let result = try await Command.analytics(["keys"] + arguments, backends)
            #expect(result.status != 0 && result.output.isEmpty && !result.errors.isEmpty, "\(result.output)")
        }

        #expect(try await Command.analytics(["keys", "revoke", new.id], backends).status == 0)
        Self.expect(try await service.get(Self.counts), 401, "missing_key")
        let list = try await Command.analytics(["keys", "list", "--project", "default", "--json"], backends)
        let keys = try #require(try JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [String: [[String: Any]]])["keys"] ?? []
        #expect(keys.compactMap { $0["id"] as? String } == [revoked.id, rotated.id, new.id])
        #expect(keys.map { $0["revokedAt"] is String } == [true, false, true] && keys.allSatisfy { $0["expiresAt"] is String })
    }

    @Test("On every address but loopback a key is needed, unless ALLOW_ANONYMOUS says otherwise, and until the first key")
    func otherAddresses() async throws {
        let backends = try TestBackends.embedded()
        var service = try await ServiceProcess.serve(backends, settings: ["HOST": "0.0.0.0"])
        let refused = try await service.get(Self.counts)
        Self.expect(refused, 401, "missing_key")
        #expect(refused.text.contains("analytics keys create"), "\(refused.text)")
        #expect(service.output().contains("Requests need a key, and no key or account was made yet"))
        service.terminate()

        service = try await ServiceProcess.serve(backends, settings: ["HOST": "0.0.0.0", "ALLOW_ANONYMOUS": "true"])
        #expect(try await service.post(Self.stored, Self.event("e-1")).status == 200)
        #expect(service.output().contains("everyone who reaches HOST"))
        service.terminate()

        _ = try await Self.key("default", "write", backends)
        service = try await ServiceProcess.serve(backends, settings: ["HOST": "0.0.0.0", "ALLOW_ANONYMOUS": "true"])
        defer { service.terminate() }
        Self.expect(try await service.get(Self.counts), 401, "missing_key")
        #expect(service.output().contains("Requests need a key"))
    }

    @Test("Commands send the key of the option, the environment or a file")
    func commands() async throws {
        let backends = try TestBackends.embedded()
        try await Self.create("shop", backends)
        let (write, read) = (try await Self.key("shop", "write", backends), try await Self.key("shop", "read", backends))
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events.ndjson")
        try Data((0..<50).map { Self.event("e-\($0)") + "\n" }.joined().utf8).write(to: file)
        let keyFile = backends.directory.appending(path: "key")
        try Data("\(read)\n".utf8).write(to: keyFile)
        let url = ["--url", service.url]

        let refused = try await Command.analytics(["import", file.path] + url, backends)
        #expect(refused.status != 0 && refused.errors.contains("the service answers 401"), "\(refused.errors)")
        let wrong = try await Command.analytics(["import", file.path, "--key", String(write.dropLast())] + url, backends)
        #expect(wrong.status != 0 && wrong.errors.contains("--key is not allowed") && !wrong.errors.contains("evw_"), "\(wrong.errors)")
        let imported = try await Command.analytics(["import", file.path, "--key", write] + url, backends)
        #expect(imported.output.hasPrefix("50 accepted, 0 duplicate, 0 rejected"), "\(imported.output) \(imported.errors)")
        let state = try String(contentsOf: backends.directory.appending(path: "events.ndjson.import"), encoding: .utf8)
        #expect(!state.contains("evw_"))

        for settings in [["ANALYTICS_KEY": read], ["ANALYTICS_KEY_FILE": keyFile.path]] {
            let counted = try await Command.analytics(["query", "counts", "--format", "csv"] + url, backends, settings: settings)
            #expect(counted.status == 0 && counted.output.contains("(total),50"), "\(counted.output) \(counted.errors)")
        }
        let exported = backends.directory.appending(path: "out.ndjson")
        let export = try await Command.analytics(["export", exported.path] + url, backends, settings: ["ANALYTICS_KEY_FILE": keyFile.path])
        #expect(export.status == 0, "\(export.errors)")
        #expect(try String(contentsOf: exported, encoding: .utf8).split(separator: "\n").count == 50)
        // The option counts, and the write key does not read.
        let option = try await Command.analytics(["query", "counts", "--key", write] + url, backends, settings: ["ANALYTICS_KEY": read])
        #expect(option.status != 0 && option.errors.contains("scope"), "\(option.errors)")
    }

    @Test("An import takes as long as the project's rate makes it, and loses nothing")
    func importWithinTheRate() async throws {
        let backends = try TestBackends.embedded()
        let set = try await Command.analytics(["projects", "set", "default", "--events-per-second", "500"], backends)
        #expect(set.output.contains("at most 500 events/s"), "\(set.output) \(set.errors)")
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        let file = backends.directory.appending(path: "events.ndjson")
        try Data((0..<2_000).map { Self.event("e-\($0)") + "\n" }.joined().utf8).write(to: file)
        // A process begins without rates, and reads them with the projects.
        try await eventually("the rate is in force", log: service.output) {
            let events = (0..<600).map { Self.event("x-\($0)") }.joined(separator: ",")
            return try await service.post("/api/v1/events/batch", "[\(events)]").status == 429
        }
        let start = ContinuousClock.now
        let result = try await Command.analytics(["import", file.path, "--batch", "100", "--url", service.url], backends)
        #expect(result.output.hasPrefix("2000 accepted, 0 duplicate, 0 rejected"), "\(result.output) \(result.errors)")
        #expect(ContinuousClock.now - start > .seconds(2))
    }

    @Test("An archived project takes no events until it is restored; what it has can be read")
    func archived() async throws {
        let backends = try TestBackends.embedded()
        try await Self.create("shop", backends)
        let (write, read) = (try await Self.key("shop", "write", backends), try await Self.key("shop", "read", backends))
        var service = try await ServiceProcess.serve(backends)
        #expect(try await service.post(Self.stored, Self.event("e-1"), headers: Self.bearer(write)).status == 200)
        service.terminate()
        let archived = try await Command.analytics(["projects", "archive", "shop"], backends)
        #expect(archived.status == 0 && archived.output.contains("archived at"), "\(archived.output) \(archived.errors)")
        service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        try await eventually("no event is accepted", log: service.output) {
            let answer = try await service.post(Self.stored, Self.event("e-2"), headers: Self.bearer(write))
            return answer.status == 403 && answer.json["code"] as? String == "project_archived"
        }
        let total = try await service.get(Self.counts, headers: Self.bearer(read)).json["total"] as? Int
        #expect((total ?? 0) >= 1)
        #expect(try await Command.analytics(["projects", "restore", "shop"], backends).status == 0)
        try await eventually("events are accepted again", log: service.output) {
            try await service.post(Self.stored, Self.event("e-3"), headers: Self.bearer(write)).status == 200
        }
        let unknown = try await Command.analytics(["projects", "archive", "zoo"], backends)
        #expect(unknown.status != 0 && unknown.errors.contains("there is no project zoo"), "\(unknown.errors)")
    }

    @Test("A token from a file manages projects and keys, sends no events, and is told to nobody")
    func adminToken() async throws {
        let backends = try TestBackends.embedded()
        let token = "token-" + String(repeating: "a1B2", count: 10)
        let file = backends.directory.appending(path: "token")
        try Data("\(token)\n".utf8).write(to: file)
        for settings in [["ADMIN_TOKEN": token, "ADMIN_TOKEN_FILE": file.path], ["ADMIN_TOKEN": "too-short-for-this"]] {
            let result = try await Command.analytics(["serve"], backends, settings: settings)
            #expect(result.status != 0 && result.errors.split(separator: "\n").count == 1, "\(result.errors)")
            #expect(result.errors.contains("ADMIN_TOKEN") && !result.errors.contains(token) && !result.errors.contains("too-short"))
        }
        let service = try await ServiceProcess.serve(backends, settings: ["ADMIN_TOKEN_FILE": file.path, "LOG_LEVEL": "trace"])
        defer { service.terminate() }
        #expect(service.output().contains("because ADMIN_TOKEN is set"))
        Self.expect(try await service.get(Self.counts), 401, "missing_key")
        let headers = Self.bearer(token)
        let created = try await service.post("/api/v1/projects", #"{"id":"shop"}"#, headers: headers)
        #expect(created.status == 201, "\(created.text)")
        let key = try await service.post("/api/v1/projects/shop/keys", #"{"scope":"write"}"#, headers: headers)
        let write = try #require(key.json["key"] as? String, "\(key.text)")
        #expect(key.status == 201 && APIKey(write) != nil)
        let accepted = try await service.post(Self.stored, Self.event("e-1"), headers: Self.bearer(write))
        #expect(accepted.status == 200, "\(accepted.text)")
        Self.expect(try await service.post(Self.stored, Self.event("e-2"), headers: headers), 403, "insufficient_scope")
        Self.expect(try await service.get("/api/v1/projects", headers: Self.bearer(token + "x")), 401, "invalid_key")
        let log = service.output()
        #expect(!log.contains(token) && !log.contains(write))
        let arguments = try String(contentsOfFile: "/proc/\(service.processID)/cmdline", encoding: .utf8)
        #expect(!arguments.contains(token))
    }

    @Test("A key on the command line is not in the list of processes")
    func processList() async throws {
        let backends = try TestBackends.embedded()
        let pipe = backends.directory.appending(path: "pipe").path
        try #require(mkfifo(pipe, 0o600) == 0)
        let key = APIKey(project: "shop", scope: .write).text
        // It waits for the other end of the pipe.
        let process = try ServiceProcess(["import", pipe, "--key", key], backends: backends)
        defer { process.kill() }
        try await eventually("the key is overwritten", log: process.output) {
            let arguments = try String(contentsOfFile: "/proc/\(process.processID)/cmdline", encoding: .utf8)
            return arguments.contains("--key") && !arguments.contains(key)
        }
        #expect(process.isRunning)
    }

    @Test("Keys for containers are made once, in files for their owner alone, and anew if they are no longer accepted")
    func setup() async throws {
        let backends = try TestBackends.embedded()
        let folder = backends.directory.appending(path: "keys")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func run() async throws -> [String] {
            let result = try await Command.analytics(["keys", "setup", "--folder", folder.path], backends)
            #expect(result.status == 0, "\(result.output) \(result.errors)")
            for scope in ["evr_", "evw_"] { #expect(!result.output.contains(scope) && !result.errors.contains(scope)) }
            return try ["read", "write"].map { name in
                let file = folder.appending(path: name)
                #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)
                return try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .newlines)
            }
        }
        var keys = try await run()
        #expect(try await run() == keys)
        let old = keys
        let id = try #require(APIKey(old[0])).digest.keyID
        #expect(try await Command.analytics(["keys", "revoke", id], backends).status == 0)
        keys = try await run()
        #expect(keys[0] != old[0] && keys[1] == old[1])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["read", "write"])
        let service = try await ServiceProcess.serve(backends)
        #expect(try await service.post(Self.stored, Self.event("e-1"), headers: Self.bearer(keys[1])).status == 200)
        #expect(try await service.get(Self.counts, headers: Self.bearer(keys[0])).json["total"] as? Int == 1)
        service.terminate()

        for name in ["events.sqlite", "events.sqlite-wal", "events.sqlite-shm"] {
            try? FileManager.default.removeItem(at: backends.directory.appending(path: name))
        }
        let others = try await run()
        #expect(Set(others).isDisjoint(with: keys) && others.allSatisfy { APIKey($0) != nil })
        let missing = try await Command.analytics(["keys", "setup", "--folder", folder.path + "/none"], backends)
        #expect(missing.status != 0 && missing.errors.contains("cannot be written"), "\(missing.errors)")
    }
}
