import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import TestSupport
import Testing

/// People sign in with a provider that is a process of its own.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct OIDCTests {
    private static let path = "/api/v1/auth/oidc"
    private static let callback = "/api/v1/auth/oidc/callback"
    private static let secret = "s%cret/+ü"
    private static let email = "ann@shop.example"

    // MARK: A browser, a provider and a service

    /// A browser follows redirects by itself; here each step is looked at.
    private struct Answer {
        var status: UInt
        var location: String?
        var cookies: [String]
        var body: Data

        var text: String { String(decoding: body, as: UTF8.self) }
        var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:] }

        /// The cookie with this name, as the browser sends it back.
        func cookie(_ name: String) throws -> String {
            let field = try #require(cookies.first { $0.hasPrefix("\(name)=") }, "\(text)")
            return String(field.prefix { $0 != ";" })
        }
    }

    private static func send(_ url: String, cookie: String? = nil, body: String? = nil) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        if let cookie { request.headers.add(name: "cookie", value: cookie) }
        if let body {
            request.method = .POST
            request.body = .bytes(ByteBuffer(string: body))
        }
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        let sent = request
        return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
            let response = try await client.execute(sent, timeout: .seconds(40))
            let body = try await response.body.collect(upTo: 1 << 20)
            return Answer(
                status: response.status.code, location: response.headers.first(name: "location"), cookies: response.headers["set-cookie"],
                body: Data(buffer: body))
        }
    }

    /// Tests/OIDC/provider.py says what it can do.
    private final class Provider: Sendable {
        let url: String
        private let process: Process

        init(redirectURI: String, folder: URL) async throws {
            let port = try ServiceProcess.freePort()
            url = "http://127.0.0.1:\(port)"
            let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
                path: "OIDC/provider.py")
            process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["python3", script.path(), String(port), folder.path, redirectURI]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            let control = url + "/control"
            try await eventually("the provider is ready", within: .seconds(60)) {
                (try? await OIDCTests.send(control).status) == 200
            }
        }

        /// How it behaves from now on.
        func control(_ switches: String) async throws {
            let answer = try await OIDCTests.send(url + "/control", body: switches)
            #expect(answer.status == 200)
        }

        /// How often each path was asked for since then.
        func counts() async throws -> [String: Int] { try await OIDCTests.send(url + "/control").json as? [String: Int] ?? [:] }

        func terminate() {
            process.terminate()
            process.waitUntilExit()
        }
    }

    private struct Rig {
        let backends: TestBackends
        let provider: Provider
        let service: ServiceProcess

        init(_ backends: TestBackends, role: String = "all") async throws {
            let port = try ServiceProcess.freePort()
            self.backends = backends
            provider = try await Provider(redirectURI: "http://127.0.0.1:\(port)\(OIDCTests.callback)", folder: backends.directory)
            service = try await ServiceProcess.serve(backends, role: role, settings: Self.settings(provider, port: port), port: port)
        }

        /// - Parameter port: Of the service that browsers call.
        static func settings(_ provider: Provider, port: Int) -> [String: String] {
            [
                "OIDC_ISSUER": provider.url, "OIDC_CLIENT_ID": "analytics:1", "OIDC_CLIENT_SECRET": OIDCTests.secret,
                "PUBLIC_URL": "http://127.0.0.1:\(port)", "LOG_LEVEL": "trace",
            ]
        }

        func end() {
            service.terminate()
            provider.terminate()
        }

        func invite(_ email: String = OIDCTests.email) async throws {
            let result = try await Command.analytics(["users", "invite", "--email", email], backends)
            #expect(result.status == 0, "\(result)")
        }

        /// To the provider and back, or as far as it goes.
        func signIn(_ query: String = "") async throws -> Answer {
            let begun = try await OIDCTests.send(service.url + OIDCTests.path + query)
            guard begun.status == 302 else { return begun }
            let there = try await OIDCTests.send(try #require(begun.location))
            #expect(there.status == 302, "\(there.text)")
            return try await OIDCTests.send(try #require(there.location), cookie: try begun.cookie("analytics_oidc"))
        }
    }

    private static func expect(
        _ answer: Answer, _ status: UInt, _ code: String, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            answer.status == status && answer.json["code"] as? String == code && !answer.cookies.contains { $0.contains("evs_") },
            "\(what) \(answer.status) \(answer.text)", sourceLocation: sourceLocation)
    }

    // MARK: The whole way

    @Test("A person with an account signs in, again and again, and no secret is logged", arguments: PipelineTests.Kind.available)
    func signsIn(_ kind: PipelineTests.Kind) async throws {
        let rig = try await Rig(try await kind.backends())
        defer { rig.end() }
        Self.expect(try await rig.signIn(), 401, "sign_in_refused")
        try await rig.invite()

        let begun = try await Self.send(rig.service.url + Self.path + "?returnTo=/docs%3Fx")
        let there = try #require(begun.location)
        #expect(begun.status == 302 && there.hasPrefix(rig.provider.url + "/authorize?") && !there.contains("code_verifier"), "\(there)")
        let attempt = try begun.cookie("analytics_oidc")
        let back = try #require(try await Self.send(there).location)
        let done = try await Self.send(back, cookie: attempt)
        #expect(done.status == 302 && done.location == "/docs?x", "\(done.text)")
        #expect(done.cookies.contains("analytics_oidc=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"), "\(done.cookies)")
        let session = try done.cookie("analytics_session")
        let me = try await rig.service.get("/api/v1/auth/me", headers: [("cookie", session)])
        #expect(me.status == 200 && (me.json["account"] as? [String: Any])?["email"] as? String == Self.email, "\(me.text)")

        // The code is used up, and the way back is of one browser.
        Self.expect(try await Self.send(back, cookie: attempt), 401, "sign_in_refused")
        Self.expect(try await Self.send(back), 400, "invalid_parameter")
        for switches in [#"{"algorithm":"ES256"}"#, #"{"algorithm":"PS256"}"#, #"{"claims":{"aud":["analytics:1"]}}"#] {
            try await rig.provider.control(switches)
            #expect(try await rig.signIn().location == "/docs", "\(switches)")
        }
        let counts = try await rig.provider.counts()
        #expect(counts == ["/authorize": 1, "/token": 1], "\(counts)")

        let audit = try await Command.analytics(["audit"], rig.backends)
        #expect(audit.output.components(separatedBy: "sign-in by account").count == 5, "\(audit.output)")
        let code = try #require(back.firstMatch(of: #/code=([^&]+)/#)?.1)
        let log = rig.service.output()
        for secret in [Self.secret, String(code), String(session.dropFirst(18)), String(attempt.dropFirst(15).prefix(43)), "eyJ"] {
            #expect(!log.contains(secret) && !audit.output.contains(secret), "\(secret)")
        }
    }

    @Test("Another process completes what one has begun", .enabled(if: TestServices.areThere))
    func twoProcesses() async throws {
        let rig = try await Rig(try await TestBackends.real(), role: "api")
        defer { rig.end() }
        let second = try await ServiceProcess.serve(
            rig.backends, role: "api", settings: Rig.settings(rig.provider, port: rig.service.port))
        defer { second.terminate() }
        try await rig.invite()
        let begun = try await Self.send(rig.service.url + Self.path)
        let provider = try #require(begun.location)
        let back = try #require(try await Self.send(provider).location)
        let elsewhere = second.url + back.dropFirst(rig.service.url.count)
        let done = try await Self.send(elsewhere, cookie: try begun.cookie("analytics_oidc"))
        #expect(done.status == 302, "\(done.text)")
        let session = try done.cookie("analytics_session")
        for service in [rig.service, second] {
            #expect(try await service.get("/api/v1/auth/me", headers: [("cookie", session)]).status == 200)
        }
    }

    // MARK: Attacks and failures

    private static let forgedClaims = [
        #"{"claims":{"iss":"http://127.0.0.1:1"}}"#, #"{"claims":{"aud":"other"}}"#, #"{"claims":{"aud":[]}}"#,
        #"{"claims":{"aud":["analytics:1","other"]}}"#, #"{"claims":{"azp":"other"}}"#, #"{"claims":{"nonce":"another"}}"#,
        #"{"claims":{"nonce":null}}"#, #"{"claims":{"exp":-400}}"#, #"{"claims":{"iat":400}}"#, #"{"claims":{"iat":-1000}}"#,
        #"{"claims":{"sub":""}}"#, #"{"claims":{"sub":"person-2"}}"#, #"{"claims":{"email_verified":false}}"#,
        #"{"claims":{"email_verified":null}}"#, #"{"claims":{"email":null}}"#, #"{"claims":{"email":"nobody@shop.example"}}"#,
    ]
    private static let forgedSignatures = [
        #"{"algorithm":"none"}"#, #"{"algorithm":"none","header":{"alg":"RS256"}}"#, #"{"algorithm":"HS256"}"#,
        #"{"algorithm":"HS256","header":{"alg":"RS256"}}"#, #"{"algorithm":"PS256","header":{"alg":"RS256"}}"#, #"{"key":"rsa-2"}"#,
        #"{"key":"rsa-2","header":{"kid":"rsa-2"}}"#, #"{"key":"rsa-2","header":{"kid":null}}"#, #"{"header":{"crit":["b64"]}}"#,
        #"{"error":"access_denied"}"#,
    ]

    @Test("A token that is forged, of others, or of another time signs nobody in", arguments: [forgedClaims, forgedSignatures])
    func forged(_ forgeries: [String]) async throws {
        let rig = try await Rig(try .embedded())
        defer { rig.end() }
        try await rig.invite()
        // Binds the account to the person, and reads the keys.
        #expect(try await rig.signIn().status == 302)
        for switches in forgeries {
            try await rig.provider.control(switches)
            Self.expect(try await rig.signIn(), 401, "sign_in_refused", switches)
            #expect(try await rig.provider.counts()["/keys"] == nil, "\(switches)")
        }
        try await rig.provider.control("{}")
        #expect(try await rig.signIn().status == 302)
        let audit = try await Command.analytics(["audit"], rig.backends)
        #expect(audit.output.components(separatedBy: "sign-in by account").count == 3, "\(audit.output)")
    }

    @Test("A provider that fails is answered with 503, within 10 s, and the next attempt succeeds")
    func failing() async throws {
        let rig = try await Rig(try .embedded())
        defer { rig.end() }
        try await rig.invite()
        let failures = [
            #"{"answers":{"/token":{"status":500}}}"#, #"{"answers":{"/token":{"status":200,"body":"{}"}}}"#,
            #"{"answers":{"/token":{"bytes":2097152}}}"#, #"{"answers":{"/token":{"delay":15}}}"#,
            #"{"answers":{"/token":{"status":307,"headers":{"Location":"/token?again"}}}}"#,
        ]
        for switches in failures {
            try await rig.provider.control(switches)
            let start = ContinuousClock.now
            Self.expect(try await rig.signIn(), 503, "provider_unavailable", switches)
            #expect(ContinuousClock.now - start < .seconds(14), "\(switches)")
            #expect(try await rig.provider.counts()["/token?again"] == nil)
            try await rig.provider.control("{}")
            #expect(try await rig.signIn().status == 302, "\(switches)")
        }
        // The secret belongs into the form now, and the addresses are read again after a failure.
        try await rig.provider.control(#"{"configuration":{"token_endpoint_auth_methods_supported":["client_secret_post"]}}"#)
        Self.expect(try await rig.signIn(), 503, "provider_unavailable")
        #expect(try await rig.signIn().status == 302)
        let log = rig.service.output()
        #expect(log.contains("(invalid_client)") && !log.contains(Self.secret), "\(log.suffix(2_000))")
    }

    @Test("A configuration that is another's, or is not to be trusted, is not used")
    func wrongConfiguration() async throws {
        let backends = try TestBackends.embedded()
        let port = try ServiceProcess.freePort()
        let provider = try await Provider(redirectURI: "http://127.0.0.1:\(port)\(Self.callback)", folder: backends.directory)
        defer { provider.terminate() }
        let document = "/.well-known/openid-configuration"
        for switches in [
            #"{"configuration":{"issuer":"http://127.0.0.1:1"}}"#, #"{"configuration":{"token_endpoint":"http://id.example/token"}}"#,
            #"{"answers":{"\#(document)":{"status":302,"headers":{"Location":"/other"}}}}"#,
            #"{"answers":{"\#(document)":{"bytes":2097152}}}"#,
        ] {
            try await provider.control(switches)
            let service = try await ServiceProcess.serve(backends, settings: Rig.settings(provider, port: port), port: port)
            defer { service.terminate() }
            Self.expect(try await Self.send(service.url + Self.path), 503, "provider_unavailable", switches)
            let counts = try await provider.counts()
            #expect(counts == [document: 1], "\(counts)")
        }
    }

    // MARK: Settings

    @Test("Without a provider there is no such route, and the service starts while the provider is down")
    func withoutProvider() async throws {
        let backends = try TestBackends.embedded()
        let settings = [
            "OIDC_ISSUER": "http://127.0.0.1:1", "OIDC_CLIENT_ID": "c", "OIDC_CLIENT_SECRET": "s", "PUBLIC_URL": "http://localhost",
        ]
        let down = try await ServiceProcess.serve(backends, settings: settings)
        Self.expect(try await Self.send(down.url + Self.path), 503, "provider_unavailable")
        #expect(down.terminate() == 0)
        let none = try await ServiceProcess.serve(backends)
        for path in [Self.path, Self.callback] { Self.expect(try await Self.send(none.url + path), 404, "not_found") }
        #expect(none.terminate() == 0)
        for (name, text) in [("OIDC_CLIENT_ID", "belong together"), ("PUBLIC_URL", "OIDC_ISSUER needs PUBLIC_URL")] {
            let result = try await Command.analytics(["serve"], backends, settings: settings.merging([name: ""]) { $1 })
            #expect(result.status != 0 && result.errors.contains(text) && result.errors.split(separator: "\n").count == 1, "\(result)")
        }
    }
}
