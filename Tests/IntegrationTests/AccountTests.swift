import Foundation
import TestSupport
import Testing

/// Accounts: commands beside a service at work, and browsers that sign in to it.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct AccountTests {
    private typealias Headers = [(String, String)]

    private static let email = "ann@shop.example"
    private static let password = "seven green umbrellas"
    private static let me = "/api/v1/auth/me"

    @discardableResult
    private static func run(
        _ arguments: [String], _ backends: TestBackends, input: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Command.Result {
        let result = try await Command.analytics(arguments, backends, input: input)
        #expect(result.status == 0, "\(arguments): \(result.output) \(result.errors)", sourceLocation: sourceLocation)
        return result
    }

    @discardableResult
    private static func createAdministrator(_ backends: TestBackends) async throws -> Command.Result {
        try await run(["users", "create", "--admin", "--email", email, "--password-stdin"], backends, input: "\(password)\n")
    }

    private static func signIn(
        _ service: ServiceProcess, email: String = Self.email, password: String = Self.password
    ) async throws -> ServiceProcess.Answer {
        try await service.post("/api/v1/auth/sign-in", #"{"email":"\#(email)","password":"\#(password)"}"#)
    }

    /// The headers of a browser that shows a page of the service, after this answer.
    private static func browser(
        _ answer: ServiceProcess.Answer, _ service: ServiceProcess, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Headers {
        #expect(answer.status == 200, "\(answer.text)", sourceLocation: sourceLocation)
        let parts = try #require(answer.headers["set-cookie"], sourceLocation: sourceLocation).components(separatedBy: "; ")
        #expect(parts[0].hasPrefix("analytics_session=evs_"), sourceLocation: sourceLocation)
        #expect(Set(parts).isSuperset(of: ["Path=/", "HttpOnly", "SameSite=Lax"]) && !parts.contains("Secure"), "\(parts.dropFirst())")
        return [("cookie", parts[0]), ("origin", service.url)]
    }

    private static func of(_ project: String, _ headers: Headers) -> Headers { headers + [("x-project", project)] }

    @Test(
        "The first account closes a running service; it signs in, chooses a project, makes a key, and signs out at once",
        arguments: PipelineTests.Kind.available)
    func administrator(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends, settings: ["LOG_LEVEL": "trace"])
        defer { service.terminate() }
        #expect(try await service.post(KeyTests.stored, KeyTests.event("e-0")).status == 200)

        let created = try await Self.createAdministrator(backends)
        #expect(created.output.contains("\(Self.email), administrator") && created.errors.contains("first account"), "\(created)")
        try await eventually("requests without a key or a session are refused", within: .seconds(5), log: service.output) {
            try await service.get(KeyTests.counts).status == 401
        }
        KeyTests.expect(try await service.post(KeyTests.stored, KeyTests.event("e-1")), 401, "missing_key")
        KeyTests.expect(try await Self.signIn(service, password: "seven green umbrella"), 401, "wrong_credentials")

        let ann = try Self.browser(try await Self.signIn(service), service)
        let me = try await service.get(Self.me, headers: ann)
        let account = try #require(me.json["account"] as? [String: Any], "\(me.text)")
        #expect(me.json["kind"] as? String == "account" && account["email"] as? String == Self.email)
        #expect(account["administrator"] as? Bool == true && !me.text.contains("scrypt"), "\(me.text)")
        let id = try #require(account["id"] as? String)

        KeyTests.expect(try await service.post("/api/v1/projects", #"{"id":"shop"}"#, headers: [ann[0]]), 403, "origin_not_allowed")
        let project = try await service.post("/api/v1/projects", #"{"id":"shop"}"#, headers: ann)
        #expect(project.status == 201, "\(project.text)")
        KeyTests.expect(try await service.get(KeyTests.counts, headers: ann), 400, "project_required")
        KeyTests.expect(try await service.get(KeyTests.counts, headers: Self.of("zoo", ann)), 404, "project_not_found")
        #expect(try await service.get(KeyTests.counts, headers: Self.of("default", ann)).json["total"] as? Int == 1)

        let made = try await service.post("/api/v1/projects/shop/keys", #"{"scope":"write"}"#, headers: ann)
        let key = try #require(made.json["key"] as? String, "\(made.text)")
        #expect(made.status == 201 && made.json["maker"] as? String == "account \(id)", "\(made.text)")
        #expect(try await service.post(KeyTests.stored, KeyTests.event("e-1"), headers: KeyTests.bearer(key)).status == 200)
        #expect(try await service.get(KeyTests.counts, headers: Self.of("shop", ann)).json["total"] as? Int == 1)
        #expect(try await service.get(KeyTests.counts + "?project=shop", headers: ann).json["total"] as? Int == 1)

        #expect(try await service.post("/api/v1/auth/sign-out", "{}", headers: ann).status == 204)
        KeyTests.expect(try await service.get(Self.me, headers: ann), 401, "invalid_session")
        KeyTests.expect(try await service.get(KeyTests.counts, headers: Self.of("shop", ann)), 401, "invalid_session")
        let log = service.output()
        for secret in [Self.password, key, ann[0].1] { #expect(!log.contains(secret)) }
    }

    @Test("A disabled account is refused within 30 s, and may be enabled again", arguments: PipelineTests.Kind.available)
    func disabled(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        try await Self.createAdministrator(backends)
        let ann = try Self.browser(try await Self.signIn(service), service)
        #expect(try await service.get(Self.me, headers: ann).status == 200)

        #expect(try await Self.run(["users", "disable", Self.email], backends).output.contains("disabled 2"))
        try await eventually("its session is refused", within: .seconds(30), log: service.output) {
            let answer = try await service.get(Self.me, headers: ann)
            return answer.status == 401 && answer.json["code"] as? String == "invalid_session"
        }
        KeyTests.expect(try await Self.signIn(service), 401, "wrong_credentials")
        try await Self.run(["users", "enable", Self.email], backends)
        KeyTests.expect(try await service.get(Self.me, headers: ann), 401, "invalid_session")
        let again = try Self.browser(try await Self.signIn(service), service)

        try await Self.run(["users", "remove", Self.email], backends)
        try await eventually("its session is refused", within: .seconds(30), log: service.output) {
            try await service.get(Self.me, headers: again).status == 401
        }
        KeyTests.expect(try await service.get(KeyTests.counts), 401, "missing_key")
    }

    @Test("An invited person sets a password, and has a role until it is taken away", arguments: PipelineTests.Kind.available)
    func invitation(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        try await Self.createAdministrator(backends)
        for project in ["shop", "zoo"] { try await Self.run(["projects", "create", project], backends) }
        let service = try await ServiceProcess.serve(backends, settings: ["LOG_LEVEL": "trace"])
        defer { service.terminate() }
        let unknown = try await Command.analytics(
            ["members", "set", "--project", "shop", "--email", "bob@shop.example", "--role", "viewer"], backends)
        #expect(unknown.status != 0 && unknown.errors.contains("users invite --email bob@shop.example --role shop=viewer"), "\(unknown)")

        let invited = try await Self.run(["users", "invite", "--email", "Bob@shop.example", "--role", "shop=viewer"], backends)
        let token = String(invited.output.dropLast())
        #expect(token.hasPrefix("evi_") && invited.output == token + "\n" && !invited.errors.contains(token), "\(invited.errors)")
        let members = try await Self.run(["members", "list", "--project", "shop", "--json"], backends).output
        #expect(members.contains(#""email":"bob@shop.example","name":"","role":"viewer""#), "\(members)")
        let body = #"{"token":"\#(token)","password":"eleven blue teapots"}"#
        KeyTests.expect(try await service.post("/api/v1/auth/accept", #"{"token":"\#(token)","password":"short"}"#), 400, "weak_password")
        let bob = try Self.browser(try await service.post("/api/v1/auth/accept", body), service)
        KeyTests.expect(try await service.post("/api/v1/auth/accept", body), 404, "invitation_not_found")

        // It has one project, which need not be named.
        #expect(try await service.get(KeyTests.counts, headers: bob).status == 200)
        KeyTests.expect(try await service.get(KeyTests.counts, headers: Self.of("zoo", bob)), 404, "project_not_found")
        KeyTests.expect(try await service.post(KeyTests.stored, KeyTests.event("e-1"), headers: bob), 403, "insufficient_scope")
        for project in ["shop", "zoo"] {
            let answer = try await service.post("/api/v1/projects/\(project)/keys", #"{"scope":"read"}"#, headers: bob)
            #expect([403, 404].contains(answer.status), "\(answer.text)")
        }

        try await Self.run(["members", "set", "--project", "shop", "--email", "bob@shop.example", "--role", "editor"], backends)
        try await eventually("an editor sends events", within: .seconds(30), log: service.output) {
            try await service.post(KeyTests.stored, KeyTests.event("e-1"), headers: bob).status == 200
        }
        try await Self.run(["members", "remove", "--project", "shop", "--email", "bob@shop.example"], backends)
        try await eventually("the project is not there for it", within: .seconds(30), log: service.output) {
            try await service.get(KeyTests.counts, headers: Self.of("shop", bob)).json["code"] as? String == "project_not_found"
        }
        let gone = try await Command.analytics(["members", "remove", "--project", "shop", "--email", "bob@shop.example"], backends)
        #expect(gone.status != 0 && gone.errors.contains("has no role in shop"), "\(gone)")

        let reset = try await Self.run(["users", "reset", "bob@shop.example"], backends)
        try await eventually("its session is refused", within: .seconds(30), log: service.output) {
            try await service.get(Self.me, headers: bob).status == 401
        }
        let new = String(reset.output.dropLast())
        let answer = try await service.post("/api/v1/auth/accept", #"{"token":"\#(new)","password":"nine yellow ladders"}"#)
        _ = try Self.browser(answer, service)
        KeyTests.expect(
            try await Self.signIn(service, email: "bob@shop.example", password: "eleven blue teapots"), 401, "wrong_credentials")
        #expect(try await Self.signIn(service, email: "bob@shop.example", password: "nine yellow ladders").status == 200)
        let log = service.output()
        for secret in [token, new, "blue teapots", "yellow ladders"] { #expect(!log.contains(secret)) }
    }

    @Test("The audit log tells who did what, and no secret", arguments: PipelineTests.Kind.available)
    func audit(_ kind: PipelineTests.Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        try await Self.createAdministrator(backends)
        _ = try await Self.signIn(service, password: "not the umbrellas")
        _ = try await Self.signIn(service, email: "nobody@shop.example", password: "not the umbrellas")
        let ann = try Self.browser(try await Self.signIn(service), service)
        #expect(try await service.post("/api/v1/projects", #"{"id":"shop"}"#, headers: ann).status == 201)
        let made = try await service.post("/api/v1/projects/shop/keys", #"{"scope":"write","name":"web"}"#, headers: ann)
        let key = try #require(made.json["key"] as? String, "\(made.text)")
        let token = try await Self.run(["users", "invite", "--email", "bob@shop.example"], backends).output.dropLast()
        try await Self.run(["keys", "revoke", try #require(made.json["id"] as? String)], backends)
        try await Self.run(["retention", "set", "90", "--project", "shop"], backends)
        try await Self.run(["erase", "request", "--project", "shop", "--user", "u-17"], backends)
        #expect(try await service.post("/api/v1/auth/sign-out", "{}", headers: ann).status == 204)

        let text = try await Self.run(["audit"], backends).output
        let lines = text.split(separator: "\n").dropLast().reversed().map(String.init)
        let actions = [
            "account.create by command line", "sign-in.failed by", "sign-in by account", "project.create by account",
            "key.create by account",
            "account.invite by command line", "key.revoke by command line", "project.change by command line",
            "erasure.create by command line", "sign-out by account",
        ]
        #expect(lines.count == actions.count, "\(text)")
        for (line, action) in zip(lines, actions) { #expect(line.contains("Z \(action)"), "\(line)") }
        for line in lines where line.contains("by account") {
            #expect(line.contains("(\(Self.email))") && line.contains("from 127.0."), "\(line)")
        }
        #expect(!text.contains("nobody"), "\(text)")

        let json = try await Self.run(["audit", "--project", "shop", "--limit", "2", "--json"], backends).output
        let document = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        let entries = try #require(document["entries"] as? [[String: Any]])
        #expect(entries.map { $0["action"] as? String } == ["erasure.create", "project.change"], "\(json)")
        #expect(entries.allSatisfy { $0["project"] as? String == "shop" })
        let cursor = try #require(document["cursor"] as? String, "\(json)")
        let more = try await Self.run(["audit", "--project", "shop", "--cursor", cursor], backends).output
        #expect(more.contains("key.revoke by") && more.contains("key.create by") && !more.contains("erasure.create by"), "\(more)")

        let all = try await Self.run(["audit", "--json"], backends).output + text
        let secrets = ["umbrellas", key, String(token), String(ann[0].1.dropFirst("analytics_session=".count)), "u-17"]
        for secret in secrets { #expect(!all.contains(secret)) }
    }

    @Test("What is wrong with a command is one line that says what to do, and nothing is made")
    func refused() async throws {
        let backends = try TestBackends.embedded()
        func create(_ input: String, _ email: String = "bob@shop.example") async throws -> Command.Result {
            try await Command.analytics(["users", "create", "--email", email, "--password-stdin"], backends, input: input)
        }
        let long = String(repeating: "long enough ", count: 100)
        for input in ["", "\nseven green umbrellas\n", "short\n", "aaaaaaaaaaaaaa\n", long] {
            let result = try await create(input)
            #expect(result.status != 0 && result.output.isEmpty && result.errors.split(separator: "\n").count == 1, "\(result)")
            #expect(!result.errors.contains("aaaaaaaa") && !result.errors.contains("long enough"), "\(result.errors)")
        }
        #expect(try await Self.run(["users"], backends).output == "No account.\n")
        // The service is as open as before.
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        #expect(try await service.get(KeyTests.counts).status == 200)

        // Only the first line is the password, and its end is no part of it.
        let created = try await create("seven green umbrellas\r\nand more\n")
        #expect(created.status == 0 && created.errors.contains("first account"), "\(created)")
        #expect(try await Self.signIn(service, email: "BOB@shop.example").status == 200)
        let again = try await create("seven green umbrellas")
        #expect(again.status != 0 && again.errors.contains("bob@shop.example"), "\(again)")
        for arguments in [
            ["users", "disable", "eve@shop.example"], ["users", "reset", "eve@shop.example"], ["users", "remove", "eve@shop.example"],
            ["users", "invite", "--email", "eve@shop.example", "--role", "zoo=viewer"], ["members", "list", "--project", "zoo"],
            ["members", "set", "--project", "zoo", "--email", "bob@shop.example", "--role", "viewer"],
        ] {
            let result = try await Command.analytics(arguments, backends)
            #expect(result.status != 0 && result.output.isEmpty && result.errors.split(separator: "\n").count == 1, "\(result)")
            #expect(result.errors.contains("analytics "), "\(result.errors)")
        }
        let list = try await Self.run(["users", "list", "--json"], backends).output
        #expect(list.contains(#""email":"bob@shop.example""#) && !list.contains("eve") && !list.contains("scrypt"), "\(list)")
    }
}
