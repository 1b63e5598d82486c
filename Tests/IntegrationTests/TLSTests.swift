import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import TestSupport
import Testing

/// The service with a certificate, called by several TLS libraries: BoringSSL here, OpenSSL in curl, openssl and Python.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TLSTests {
    /// A service with the certificate `server` of an authority.
    private struct Rig {
        let authority: TestAuthority
        let backends: TestBackends
        let service: ServiceProcess
        let files: (certificate: URL, key: URL)

        var settings: [String: String] {
            ["PORT": "\(service.port)", "TLS_CERTIFICATE": files.certificate.path, "TLS_KEY": files.key.path]
        }
        var url: String { "https://localhost:\(service.port)" }

        init(_ settings: [String: String] = [:], descriptors: (soft: Int, hard: Int)? = nil) async throws {
            authority = try await TestAuthority()
            files = try await authority.issue("server")
            backends = try .embedded()
            service = try ServiceProcess(
                ["serve"], backends: backends,
                settings: ["TLS_CERTIFICATE": files.certificate.path, "TLS_KEY": files.key.path].merging(settings) { $1 },
                descriptors: descriptors)
            let (running, trusted) = (service, authority)
            try await eventually("the service is ready", within: .seconds(60), log: running.output) {
                (try? await TLSTests.ask("https://localhost:\(running.port)/health/ready", trusting: trusted)) == 200
            }
            try await eventually("SIGHUP is handled", log: running.output) { running.output().contains("TLS certificate in use") }
        }

        func end() {
            service.terminate()
            authority.remove()
        }

        /// A command on this machine, with the service's settings.
        func command(_ arguments: String...) async throws -> Command.Result {
            try await Command.analytics(arguments, backends, settings: settings)
        }
    }

    /// Asks over a connection of its own.
    private static func ask(_ url: String, trusting authority: TestAuthority) async throws -> UInt {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority.certificate.path))
        return try await HTTPClient.withHTTPClient(configuration: HTTPClient.Configuration(tlsConfiguration: tls)) { client in
            let response = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(20))
            _ = try await response.body.collect(upTo: 1 << 20)
            return response.status.code
        }
    }

    // MARK: Serving

    @Test("HTTP/1.1 is served over TLS 1.2 and 1.3 at PORT, and nothing in clear text")
    func serves() async throws {
        let rig = try await Rig()
        defer { rig.end() }
        for version in ["1.2", "1.3"] {
            let result = try await Command.run(
                "/usr/bin/env",
                [
                    "curl", "-sS", "--cacert", rig.authority.certificate.path, "--tlsv\(version)", "--tls-max", version, "-o", "/dev/null",
                    "-w", "%{http_version} %{http_code}", "\(rig.url)/api/v1/events/counts",
                ])
            #expect(result.status == 0 && result.output == "1.1 200", "\(result)")
        }
        let old = try await Command.run(
            "/usr/bin/env", ["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", "localhost:\(rig.service.port)"])
        #expect(old.status != 0 && (old.output + old.errors).contains("protocol version"), "\(old)")
        await #expect(throws: (any Error).self) { try await rig.service.get("/health/live") }

        let posted = try await Command.run(
            "/usr/bin/env",
            [
                "curl", "-sS", "--cacert", rig.authority.certificate.path, "-H", "Content-Type: application/json", "-d",
                #"{"type":"t","source":"s","data":1}"#, "\(rig.url)/api/v1/events?wait=stored&timeout=20",
            ])
        #expect(posted.output.contains(#""status":"stored""#), "\(posted)")
    }

    @Test("Commands reach the service of their settings; with --url its certificate has to be trusted")
    func commands() async throws {
        let rig = try await Rig()
        defer { rig.end() }
        let file = rig.backends.directory.appending(path: "events.ndjson")
        try (0..<50).map { #"{"id":"\#($0)","type":"t","source":"s","data":\#($0)}"# + "\n" }.joined()
            .write(to: file, atomically: true, encoding: .utf8)
        let health = try await rig.command("health")
        #expect(health.status == 0, "\(health)")
        let imported = try await rig.command("import", file.path)
        #expect(imported.output.hasPrefix("50 accepted"), "\(imported)")
        let counted = try await rig.command("query", "counts", "--format", "csv")
        #expect(counted.output.contains("t,50"), "\(counted)")
        let exported = try await rig.command("export", rig.backends.directory.appending(path: "out.ndjson").path)
        #expect(exported.output.hasPrefix("50 events"), "\(exported)")

        for arguments in [["health"], ["query", "counts"]] {
            let trusted = try await Command.analytics(arguments + ["--url", rig.url, "--ca", rig.authority.certificate.path], rig.backends)
            #expect(trusted.status == 0, "\(trusted)")
            let unknown = try await Command.analytics(arguments + ["--url", rig.url], rig.backends)
            #expect(unknown.status != 0 && unknown.errors.contains("no "), "\(unknown)")
            let wrong = try await Command.analytics(arguments + ["--url", rig.url, "--ca", file.path], rig.backends)
            #expect(wrong.status != 0 && wrong.errors.contains("--ca \(file.path)"), "\(wrong)")
        }
        let trusted = try await Command.analytics(
            ["import", file.path, "--restart", "--url", rig.url, "--ca", rig.authority.certificate.path], rig.backends)
        #expect(trusted.output.hasPrefix("0 accepted, 50 duplicate"), "\(trusted)")
    }

    @Test("Health and metrics have no TLS at OPERATIONS_PORT, and the health check of the settings asks there")
    func operations() async throws {
        let port = try ServiceProcess.freePort()
        let authority = try await TestAuthority()
        defer { authority.remove() }
        let files = try await authority.issue("server")
        let settings = [
            "OPERATIONS_PORT": "\(port)", "TLS_CERTIFICATE": files.certificate.path, "TLS_KEY": files.key.path,
        ]
        let backends = try TestBackends.embedded()
        let service = try ServiceProcess(["serve"], backends: backends, settings: settings)
        defer { service.terminate() }
        try await eventually("the service is ready", within: .seconds(60), log: service.output) {
            try await Command.analytics(["health"], backends, settings: settings).status == 0
        }
        let metrics = try await HTTPClient.shared.execute(
            HTTPClientRequest(url: "http://127.0.0.1:\(port)/metrics"), timeout: .seconds(10))
        #expect(metrics.status == .ok)
        _ = try await metrics.body.collect(upTo: 1 << 24)
        #expect(try await Self.ask("https://localhost:\(service.port)/api/v1/events/counts", trusting: authority) == 200)
    }

    @Test("gRPC has the certificate too, and only HTTP/2")
    func grpc() async throws {
        let port = try ServiceProcess.freePort()
        let rig = try await Rig(["GRPC_PORT": "\(port)"])
        defer { rig.end() }
        try await eventually("gRPC is served", log: rig.service.output) { rig.service.output().contains("gRPC is served") }
        for (target, expected) in [(port, "h2"), (rig.service.port, "http/1.1")] {
            let result = try await Command.run(
                "/usr/bin/env",
                [
                    "openssl", "s_client", "-connect", "localhost:\(target)", "-CAfile", rig.authority.certificate.path,
                    "-verify_return_error", "-alpn", "h2,http/1.1",
                ])
            #expect(result.output.contains("ALPN protocol: \(expected)\n"), "\(result)")
            #expect(result.output.contains("Verify return code: 0 (ok)"), "\(result)")
        }
    }

    // MARK: Exchanging the certificate

    @Test("On SIGHUP new connections get the new certificate, and open ones go on; a broken file changes nothing")
    func exchange() async throws {
        let rig = try await Rig()
        defer { rig.end() }
        let next = try await TestAuthority()
        defer { next.remove() }
        let open = try OpenConnection(rig.service.port, trusting: rig.authority)
        defer { open.close() }
        try await open.get("/health/live", count: 1)
        let url = rig.url + "/health/live"

        try Data("no certificate".utf8).write(to: rig.files.certificate)
        kill(rig.service.processID, SIGHUP)
        try await eventually("it is told", log: rig.service.output) {
            rig.service.output().contains("TLS certificate cannot be read, so the earlier one stays in use")
        }
        #expect(rig.service.output().contains("TLS_CERTIFICATE"))
        #expect(try await Self.ask(url, trusting: rig.authority) == 200)

        let files = try await next.issue("server")
        try Data(contentsOf: files.key).write(to: rig.files.key)
        try Data(contentsOf: files.certificate).write(to: rig.files.certificate)
        kill(rig.service.processID, SIGHUP)
        try await eventually("the new one is used", log: rig.service.output) { (try? await Self.ask(url, trusting: next)) == 200 }
        await #expect(throws: (any Error).self) { try await Self.ask(url, trusting: rig.authority) }
        try await open.get("/health/live", count: 2)
        #expect(rig.service.isRunning)
    }

    @Test("Without a signal, a changed file is noticed within 10 s")
    func noticed() async throws {
        let rig = try await Rig()
        defer { rig.end() }
        let next = try await TestAuthority()
        defer { next.remove() }
        let files = try await next.issue("server")
        // The key comes first, and does not go with the certificate for a moment.
        try Data(contentsOf: files.key).write(to: rig.files.key)
        #expect(try await Self.ask(rig.url + "/health/live", trusting: rig.authority) == 200)
        try Data(contentsOf: files.certificate).write(to: rig.files.certificate)
        try await eventually("the new one is used", within: .seconds(20), log: rig.service.output) {
            (try? await Self.ask(rig.url + "/health/live", trusting: next)) == 200
        }
    }

    @Test("A certificate that cannot be used ends the start with one line that names its setting")
    func wrongFiles() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        let (own, other) = (try await authority.issue("own"), try await authority.issue("other"))
        for (certificate, key, expected) in [
            (own.certificate.path, "", "TLS_CERTIFICATE needs TLS_KEY"), ("", own.key.path, "TLS_KEY needs TLS_CERTIFICATE"),
            ("/nowhere.pem", own.key.path, "TLS_CERTIFICATE=/nowhere.pem"), (own.certificate.path, "/nowhere.key", "TLS_KEY=/nowhere.key"),
            (own.key.path, own.key.path, "TLS_CERTIFICATE="), (own.certificate.path, own.certificate.path, "TLS_KEY="),
            (own.certificate.path, other.key.path, "TLS_KEY="),
        ] {
            let result = try await Command.analytics(
                ["serve"], try .embedded(), settings: ["TLS_CERTIFICATE": certificate, "TLS_KEY": key])
            #expect(result.status != 0 && result.errors.contains(expected), "\(result)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(result)")
        }
    }

    // MARK: Clients that do not go on

    @Test("Clients that do not finish the handshake lock nobody out, and are disconnected")
    func handshakes() async throws {
        // There are 150 connections.
        let rig = try await Rig(descriptors: (64, 300))
        defer { rig.end() }
        var clients: [UnreadConnection] = []
        for number in 0..<400 {
            let client = try UnreadConnection(port: rig.service.port)
            // Half of them begin a record, and say that more of it comes.
            if number % 2 == 0 { try? await client.send("\u{16}\u{3}\u{1}\u{1}\u{0}") }
            clients.append(client)
        }
        #expect(try await Self.ask(rig.url + "/api/v1/events/counts", trusting: rig.authority) == 200)
        try await eventually("all are disconnected", within: .seconds(30), log: rig.service.output) {
            clients.allSatisfy { $0.read(4_096) == nil }
        }
        #expect(try await Self.ask(rig.url + "/health/live", trusting: rig.authority) == 200)
    }

    @Test("Clients that send all of a body before they read get to read why it is refused, also in slow records")
    func earlyAnswers() async throws {
        let rig = try await Rig()
        defer { rig.end() }
        let scripts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "HTTP")
        let python = ProcessInfo.processInfo.environment["TEST_HTTP_PYTHON"] ?? "python3"
        let trust = ["SSL_CERT_FILE": rig.authority.certificate.path, "REQUESTS_CA_BUNDLE": rig.authority.certificate.path]
        let fast = try await Command.run(
            "/usr/bin/env", [python, scripts.appending(path: "early_answers.py").path, rig.url],
            environment: ProcessInfo.processInfo.environment.merging(trust) { $1 })
        #expect(fast.status == 0, "\(fast.output.suffix(4_000)) \(fast.errors.suffix(4_000))")
        let slow = try await Command.run(
            "/usr/bin/env",
            ["python3", scripts.appending(path: "slow_record.py").path, "\(rig.service.port)", rig.authority.certificate.path])
        #expect(slow.status == 0, "\(slow.output) \(slow.errors)")
    }

    // MARK: Backends

    @Test("RabbitMQ and MongoDB are reached over TLS, and wrong files and authorities are named", .enabled(if: TestServices.areThere))
    func backends() async throws {
        let (authority, other) = (try await TestAuthority(), try await TestAuthority())
        defer { for authority in [authority, other] { authority.remove() } }
        try await authority.issue("server")
        try await OwnStack.with("mongodb", "rabbitmq", certificates: authority.folder) { stack in
            func settings(trusting authority: String) -> [String: String] {
                [
                    "MONGODB_URI": stack.mongoURI + "&tls=true&serverSelectionTimeoutMS=1000&tlsCAFile=" + authority,
                    "RABBITMQ_URL": stack.secureRabbitURL + "?cacertfile=" + authority,
                ]
            }
            let backends = try TestBackends.embedded()
            let service = try await ServiceProcess.serve(backends, settings: settings(trusting: authority.certificate.path))
            let events = (0..<2_000).map { #"{"id":"\#($0)","type":"t","source":"s","data":"\#(String(repeating: "x", count: 2_000))"}"# }
            let answer = try await service.post(
                "/api/v1/events/batch?wait=stored&timeout=30", events.joined(separator: "\n"), type: "application/x-ndjson")
            #expect(answer.status == 200, "\(answer.text.prefix(300))")
            #expect(try await service.total() == 2_000)
            #expect(service.terminate() == 0)

            let stranger = try ServiceProcess(
                ["serve", "--role", "api"], backends: backends, settings: settings(trusting: other.certificate.path))
            try await eventually("both refuse", log: stranger.output) {
                stranger.output().contains("TLS handshake failed") && stranger.output().contains(#/SSL handshake failed: .*certificate/#)
            }
            #expect(!stranger.output().contains("guest:guest"))
            stranger.terminate()

            for (name, value) in settings(trusting: "/nowhere/ca.pem") {
                let result = try await Command.analytics(
                    ["serve"], backends, settings: settings(trusting: authority.certificate.path).merging([name: value]) { $1 })
                #expect(result.status != 0 && result.errors.contains("/nowhere/ca.pem"), "\(result)")
                #expect(result.errors.split(separator: "\n").count == 1, "\(result)")
            }
        }
    }

    @Test("An address of Redis with TLS ends the start with one line that says what to do")
    func redis() async throws {
        let result = try await Command.analytics(["serve"], try .embedded(), settings: ["REDIS_HOST": "rediss://cache:6380"])
        #expect(result.status != 0 && result.errors.contains("REDIS_HOST=rediss://cache:6380") && result.errors.contains("stunnel"))
        #expect(result.errors.split(separator: "\n").count == 1, "\(result)")
    }
}

/// A connection over TLS that stays open, by `openssl s_client`.
private final class OpenConnection {
    private let process = Process()
    private let input = Pipe()
    private let output: URL

    init(_ port: Int, trusting authority: TestAuthority) throws {
        // It is written to, also if it has ended.
        signal(SIGPIPE, SIG_IGN)
        output = authority.folder.appending(path: "answers")
        _ = FileManager.default.createFile(atPath: output.path, contents: nil)
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "openssl", "s_client", "-quiet", "-verify_return_error", "-connect", "localhost:\(port)", "-CAfile", authority.certificate.path,
        ]
        process.standardInput = input
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Sends a request; returns when there are `count` answers.
    func get(_ path: String, count: Int) async throws {
        try input.fileHandleForWriting.write(contentsOf: Data("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        try await eventually("answer \(count)") {
            try String(contentsOf: output, encoding: .utf8).components(separatedBy: "HTTP/1.1 200").count == count + 1
        }
    }

    func close() {
        process.terminate()
        process.waitUntilExit()
    }
}
