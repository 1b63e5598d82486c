import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Requests of people who have signed in. The service is called `localhost`.
struct SessionTests {
    private static func isRefused(_ response: TestResponse, _ status: HTTPResponse.Status, _ code: String) -> Bool {
        response.status == status && response.code == code && response.isProblem && response.headers[.connection] == "close"
    }

    private static func id(of email: String) -> String { Account.id(of: EmailAddress(email)!) }

    // MARK: The cookie

    private static func request(_ cookies: [String], at authority: String?, _ more: HTTPFields = [:]) -> Request {
        var headers = more
        for cookie in cookies { headers.append(HTTPField(name: .cookie, value: cookie)) }
        let head = HTTPRequest(method: .get, scheme: "http", authority: authority, path: "/", headerFields: headers)
        return Request(head: head, body: RequestBody(buffer: ByteBuffer()))
    }

    private static let cookie = HostCookie.session(APISettings())
    private static let both = ["analytics_session=weak; __Host-analytics_session=strong"]
    private static let loopback = [
        "localhost", "localhost:4000", "LocalHost", "localhost.", "app.localhost:80", "127.0.0.1", "127.255.3.4:4000", "[::1]:4000",
        "[::ffff:127.0.0.1]",
    ]
    private static let elsewhere: [String?] = [
        "analytics.example", "10.0.0.1:4000", "128.0.0.1", "[::2]", "localhost.example", "127.0.0.1.example", "notlocalhost", "", nil,
    ]

    private func value(
        at authority: String? = "localhost", from peer: String? = "127.0.0.1", _ more: HTTPFields = [:],
        _ settings: APISettings = APISettings()
    ) throws -> String? {
        try HostCookie.session(settings).value(of: Self.request(Self.both, at: authority, more), from: peer)
    }

    @Test func `the name of the cookie fits the name of the service, and no other is read`() throws {
        for authority in Self.loopback { #expect(try value(at: authority) == "weak", "\(authority)") }
        for authority in Self.elsewhere { #expect(try value(at: authority) == "strong", "\(authority ?? "-")") }
    }

    @Test func `the cookie without a prefix is for clients on this machine, and not for those of a proxy there`() throws {
        for peer in ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"] { #expect(try value(from: peer) == "weak", "\(peer)") }
        for peer in ["10.0.0.1", "192.0.2.7", "::2", "", nil] { #expect(try value(from: peer) == "strong", "\(peer ?? "-")") }
        for name in ["Forwarded", "forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "x-forwarded-host", "X-Forwarded-Anything"] {
            #expect(try value([HTTPField.Name(name)!: ""]) == "strong", "\(name)")
        }
        #expect(try value([.origin: "https://localhost"]) == "weak")
        #expect(try value([:], APISettings(trustedProxies: 1)) == "strong")
        var settings = APISettings()
        settings.publicURL = SecureURL("http://localhost:4000")
        #expect(try value([:], settings) == "weak")
        settings.publicURL = SecureURL("https://analytics.example")
        #expect(try value([:], settings) == "strong")
    }

    @Test func `the cookie is for this host alone, and outside of loopback for TLS alone`() {
        let token = SessionToken()
        let rest = "Path=/; HttpOnly; SameSite=Lax"
        let (local, other) = (Self.request([], at: "localhost:4000"), Self.request([], at: "analytics.example"))
        let peer = "127.0.0.1"
        #expect(
            Self.cookie.field(token.text, to: other, from: peer)
                == "__Host-analytics_session=\(token.text); \(rest); Secure; Max-Age=2592000")
        #expect(Self.cookie.field(token.text, to: local, from: peer) == "analytics_session=\(token.text); \(rest); Max-Age=2592000")
        #expect(Self.cookie.removal(to: other, from: peer) == "__Host-analytics_session=; \(rest); Secure; Max-Age=0")
        #expect(Self.cookie.removal(to: local, from: peer) == "analytics_session=; \(rest); Max-Age=0")
    }

    private static let forms: [([String], String?)] = [
        (["analytics_session=a"], "a"), (["x=y; analytics_session=a"], "a"), (["x=y;analytics_session=a;z"], "a"),
        (["x=\"1; 2\";\tanalytics_session=a=b; x=y"], "a=b"), (["x=y", "analytics_session=a"], "a"), (["analytics_session="], ""),
        (["analytics_session=\"a\""], "\"a\""), ([], nil), (["=; ;; analytics_session"], nil), (["Analytics_session=a"], nil),
        (["analytics_session =a"], nil), (["xanalytics_session=a; analytics_sessions=a"], nil), (["x=analytics_session=a"], nil),
    ]

    @Test(arguments: forms)
    func `the cookie is found among others by its exact name`(cookies: [String], value: String?) throws {
        #expect(try Self.cookie.value(of: Self.request(cookies, at: "localhost"), from: "127.0.0.1") == value)
    }

    @Test(arguments: [["analytics_session=a; analytics_session=a"], ["analytics_session=a", "x=y; analytics_session=b"]])
    func `a cookie that occurs twice is refused`(cookies: [String]) {
        let problem = #expect(throws: Problem.self) {
            try Self.cookie.value(of: Self.request(cookies, at: "localhost"), from: "127.0.0.1")
        }
        #expect(problem?.code == "invalid_header" && problem?.status == .badRequest)
    }

    @Test func `a session asks and sends, and an explicit key wins over it`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.editor)
        let (write, bank) = (try await service.makeKey(.write), try await service.makeKey(.read, of: "bank"))
        try await service.run { client async throws in
            #expect(try await client.send(.post, "/api/v1/events", Sample.event("a"), ann).status == .accepted)
            let listed = try await client.get("/api/v1/events", ann)
            #expect(listed.status == .ok && listed.text.contains("\"a\"") && listed.headers[.cacheControl] == "no-store")
            let asBank = try await client.get("/api/v1/events", ann.with(.authorization, "Bearer \(bank)"))
            #expect(asBank.status == .ok && !asBank.text.contains("\"a\""))
            let asWriter = try await client.get("/api/v1/events", ann.with(.xAPIKey, write))
            #expect(Self.isRefused(asWriter, .forbidden, "insufficient_scope"))
            let wrong = try await client.get("/api/v1/events", ann.with(.authorization, "Bearer nonsense"))
            #expect(wrong.status == .unauthorized && wrong.code == "invalid_key" && wrong.isProblem)
            var twice = ann.with(.authorization, "Bearer \(bank)")
            for _ in 0..<2 { twice.append(HTTPField(name: .cookie, value: "__Host-analytics_session=x")) }
            #expect(try await client.get("/api/v1/events", twice).status == .ok)
            twice[.authorization] = nil
            #expect(try await Self.isRefused(client.get("/api/v1/events", twice), .badRequest, "invalid_header"))
        }
        #expect(try service.publisher.events.map(\.project) == ["shop"])
    }

    // MARK: Sessions that are none

    @Test func `a session that has ended, or whose account is disabled or gone, is none, and the browser forgets it`() async throws {
        let service = TestService.keyed()
        let ended = try await service.session(.owner, of: "ended@shop.example")
        let disabled = try await service.session(.owner, of: "disabled@shop.example")
        let removed = try await service.session(.owner, of: "removed@shop.example")
        let none = ["", "nonsense", "evs_", SessionToken().text].map { HTTPFields.session($0) }
        _ = try await service.accounts.change(Self.id(of: "disabled@shop.example"), AccountChange(isDisabled: true), by: .command)
        #expect(try await service.accounts.remove(Self.id(of: "removed@shop.example"), by: .command))
        try await service.run { client async throws in
            #expect(try await client.send(.post, "/api/v1/auth/sign-out", nil, ended).status == .noContent)
            for fields in none + [ended, disabled, removed] {
                for path in ["/api/v1/events", "/api/v1/projects", "/api/v1/auth/me", "/api/v1/accounts"] {
                    let response = try await client.get(path, fields)
                    #expect(Self.isRefused(response, .unauthorized, "invalid_session"), "\(path) \(response.text)")
                    #expect(response.headers[.wwwAuthenticate] == "Bearer realm=\"analytics\"" && response.sessionToken == "")
                }
            }
        }
    }

    @Test func `a session that ends is refused here at once, and elsewhere within 15 seconds`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.viewer)
        let elsewhere = KeyAccess(
            directory: KeyDirectory(store: service.store, clock: TestService.clock, logger: TestService.quiet),
            sessions: SessionDirectory(store: service.store, clock: TestService.clock, elapsed: service.time.elapsed),
            latch: AnonymousLatch(store: service.store), allowsAnonymous: false, adminToken: nil)
        let head = HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: "/api/v1/events", headerFields: ann)
        let request = Request(head: head, body: RequestBody(buffer: ByteBuffer()))
        try await service.run { client async throws in
            #expect(try await elsewhere.principal(of: request, for: .read, from: "").project == "shop")
            #expect(try await client.get("/api/v1/events", ann).status == .ok)
            let out = try await client.send(.post, "/api/v1/auth/sign-out", #"{"everywhere":false}"#, ann)
            #expect(out.status == .noContent && out.sessionToken == "")
            #expect(try await Self.isRefused(client.get("/api/v1/events", ann), .unauthorized, "invalid_session"))
        }
        service.time.advance(by: .seconds(15))
        let problem = await #expect(throws: Problem.self) { try await elsewhere.principal(of: request, for: .read, from: "") }
        #expect(problem?.code == "invalid_session")
    }

    @Test func `who tries many sessions is told to wait, and a right one goes on working`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.viewer)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events", ann).status == .ok)
            var last: TestResponse?
            for _ in 0..<30 where last?.status != .tooManyRequests {
                last = try await client.get("/api/v1/events", .session(SessionToken().text))
            }
            let response = try #require(last)
            #expect(Self.isRefused(response, .tooManyRequests, "too_many_attempts") && response.headers[.retryAfter] != nil)
            #expect(try await client.get("/api/v1/events", ann).status == .ok)
        }
    }

    @Test func `while the store is down nobody is signed in`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.viewer)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events", ann).status == .ok)
            service.store.faults.down([.read])
            service.time.advance(by: .seconds(15))
            let response = try await client.get("/api/v1/events", ann)
            #expect(Self.isRefused(response, .serviceUnavailable, "store_unavailable") && response.headers[.setCookie] == nil)
        }
    }

    // MARK: Pages of other sites

    private static let changing: [(HTTPRequest.Method, String, String?)] = [
        (.post, "/api/v1/events", Sample.event("a")), (.post, "/api/v1/analytics/people", #"{"question":"uniques","parameters":{}}"#),
        (.post, "/api/v1/erasures?userId=a", ""), (.post, "/api/v1/projects/shop/keys", #"{"scope":"read"}"#),
        (.patch, "/api/v1/projects/shop", #"{"title":"x"}"#), (.post, "/api/v1/auth/sign-out", nil),
        (.post, "/api/v1/auth/totp", nil), (.delete, "/api/v1/auth/totp", #"{"password":"x"}"#),
    ]

    @Test func `with a session only a page of the service changes something`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.owner)
        // A project's allowed sites have keys; they are not for sessions.
        service.projects.take([ProjectRecord(project: "shop", origins: ["https://shop.example"])])
        try await service.run { client async throws in
            for (method, uri, body) in Self.changing {
                for origin in [
                    nil, "null", "https://evil.example", "http://localhost:81", "https://shop.example", "http://localhost.example",
                ] {
                    let response = try await client.send(method, uri, body, ann.with(.origin, origin))
                    #expect(Self.isRefused(response, .forbidden, "origin_not_allowed"), "\(uri) \(origin ?? "-") \(response.text)")
                    #expect(response.headers[.accessControlAllowOrigin] == nil)
                }
            }
            for path in ["/api/v1/events", "/api/v1/projects", "/api/v1/auth/me", "/api/v1/live"] {
                for method in [HTTPRequest.Method.get, .head] {
                    let foreign = try await client.send(method, path, nil, ann.with(.origin, "https://shop.example"))
                    #expect(foreign.status == .forbidden && foreign.headers[.accessControlAllowOrigin] == nil, "\(path)")
                    guard path != "/api/v1/live" else { continue }
                    #expect(try await client.send(method, path, nil, ann.with(.origin, nil)).status == .ok)
                }
            }
            #expect(try await client.send(.post, "/api/v1/events", Sample.event("b"), ann).status == .accepted)
        }
        #expect(try service.publisher.events.map(\.id) == ["b"])
        #expect(try await service.store.keys(of: nil).isEmpty)
    }

    @Test func `an export that names no project ends when the only project of its account becomes another`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.viewer)
        let account = try #require(try await service.accounts.list(before: nil, limit: 1).first)
        try await service.storeLargeEvents(of: "shop")
        _ = try await service.store.createProject("other", at: TestService.now)
        let router = makeRouter(
            services: service.services, settings: service.settings, intake: IntakeRoute.standard, elapsed: service.time.elapsed)
        try await Application(router: router, logger: TestService.quiet).test(.router) { client in
            let slices = Counting()
            service.store.beforeRead { operation async throws(StoreError) in
                guard operation == "events", slices.next() == 2 else { return }
                _ = try? await service.accounts.removeRole(of: account.id, in: "shop", by: .command)
                _ = try? await service.accounts.setRole(.viewer, of: account.email, in: "other", by: .command)
                service.time.advance(by: .seconds(15))
            }
            await #expect(throws: (any Error).self) { try await client.send(.get, "/api/v1/events/export", nil, ann) }
            #expect(slices.value >= 2)
        }
    }

    @Test func `what pages of other sites send takes nothing from the changes that their user may make`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.owner)
        try await service.run { client async throws in
            func change(_ fields: HTTPFields) async throws -> TestResponse {
                try await client.send(.patch, "/api/v1/projects/shop", #"{"title":"x"}"#, fields)
            }
            for _ in 0..<61 { #expect(try await change(ann.with(.origin, "https://evil.example")).code == "origin_not_allowed") }
            for _ in 0..<60 { #expect(try await change(ann).status == .ok) }
            let out = try await client.send(.post, "/api/v1/auth/sign-out", nil, ann)
            #expect(Self.isRefused(out, .tooManyRequests, "rate_limited"), "\(out.text)")
        }
    }

    // MARK: The project

    @Test func `a request with a session names one of its projects`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount("ann@shop.example", roles: ["shop": .editor, "bank": .viewer])
        let ann = try await service.session(of: "ann@shop.example")
        _ = try await service.store.createProject("other", at: TestService.now)
        let shop = ann.with(.xProject, "shop")
        try await service.run { client async throws in
            let none = try await client.get("/api/v1/events", ann)
            #expect(Self.isRefused(none, .badRequest, "project_required") && none.text.contains("X-Project"))
            #expect(try await client.send(.post, "/api/v1/events?wait=stored", Sample.event("a"), shop).status == .ok)
            for uri in ["/api/v1/events?project=shop&limit=5", "/api/v1/events?limit=5&%70roject=shop&type=page_view"] {
                let listed = try await client.get(uri, ann)
                #expect(listed.status == .ok && listed.text.contains("\"a\""), "\(listed.text)")
                #expect(try await client.get(uri, shop).status == .ok)
                let two = try await client.get(uri, ann.with(.xProject, "bank"))
                #expect(Self.isRefused(two, .badRequest, "invalid_parameter"))
            }
            let bank = try await client.get("/api/v1/events", ann.with(.xProject, "bank"))
            #expect(bank.status == .ok && !bank.text.contains("\"a\""))
            let sent = try await client.send(.post, "/api/v1/events", Sample.event("b"), ann.with(.xProject, "bank"))
            #expect(Self.isRefused(sent, .forbidden, "insufficient_scope"))
            let twice = try await client.get("/api/v1/events?project=shop&project=bank", ann)
            #expect(Self.isRefused(twice, .badRequest, "invalid_parameter"))
            let texts = try await ["other", "nothing", "Shop", ""].asyncMap { name in
                let response = try await client.get("/api/v1/events?project=\(name)", ann)
                #expect(Self.isRefused(response, .notFound, "project_not_found"), "\(name) \(response.text)")
                return response.text
            }
            #expect(Set(texts).count == 1)
            let other = try await client.get("/api/v1/events?project=shop&limit=5&x=y", ann)
            #expect(other.code == "unknown_parameter" && !other.text.contains("project,"))
        }
        let key = try await service.makeKey(.read)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events?project=shop", .bearer(key)).code == "unknown_parameter")
        }
    }

    @Test func `an administrator of the instance is the owner of every project that exists`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount("root@shop.example", isAdministrator: true, roles: ["shop": .viewer])
        let root = try await service.session(of: "root@shop.example")
        _ = try await service.store.createProject("bank", at: TestService.now)
        try await service.run { client async throws in
            #expect(try await Self.isRefused(client.get("/api/v1/events", root), .badRequest, "project_required"))
            for project in ["bank", "shop", "default"] {
                let sent = try await client.send(.post, "/api/v1/events", Sample.event(project), root.with(.xProject, project))
                #expect(sent.status == .accepted, "\(sent.text)")
                #expect(try await client.get("/api/v1/erasures", root.with(.xProject, project)).status == .ok)
            }
            let none = try await client.send(.post, "/api/v1/events", Sample.event("x"), root.with(.xProject, "nothing"))
            #expect(Self.isRefused(none, .notFound, "project_not_found"))
        }
        #expect(try service.publisher.events.map(\.project.name) == ["bank", "shop", "default"])
    }

    // MARK: Roles

    private static func filled(_ path: String) -> String {
        path.split(separator: "/").map { $0 == "{project}" ? "/shop" : $0.hasPrefix("{") ? "/x" : "/\($0)" }.joined()
    }

    @Test(arguments: Role.allCases) func `a route that needs a scope is open to the roles that have it`(role: Role) async throws {
        let service = TestService.keyed()
        let ann = try await service.session(role)
        let routes = RouteTable(services: service.services, settings: service.settings).routes.filter { $0.scope != nil }
        #expect(Set(routes.compactMap(\.scope)) == Set(Scope.allCases))
        try await service.run { client async throws in
            for route in routes {
                let scope = try #require(route.scope)
                let mayUse = role.scopes.contains(scope)
                // Its answer has no end.
                if mayUse, route.path == "/api/v1/live" { continue }
                let methods: [HTTPRequest.Method] = route.method == .get ? [.get, .head] : [route.method]
                for method in methods {
                    let response = try await client.send(method, Self.filled(route.path), nil, ann)
                    let isRefused = [HTTPResponse.Status.unauthorized, .forbidden].contains(response.status)
                    #expect(isRefused == !mayUse, "\(method) \(route.path) \(response.text)")
                    if isRefused, method != .head { #expect(Self.isRefused(response, .forbidden, "insufficient_scope")) }
                }
            }
        }
    }

    @Test(arguments: Role.allCases) func `owners manage their project, and administrators alone the instance`(role: Role) async throws {
        let service = TestService.keyed()
        let ann = try await service.session(role)
        let ofInstance: Set<String> = [
            "POST /api/v1/projects", "GET /api/v1/accounts", "POST /api/v1/accounts", "GET /api/v1/accounts/{id}",
            "PATCH /api/v1/accounts/{id}", "DELETE /api/v1/accounts/{id}", "POST /api/v1/accounts/{id}/reset",
        ]
        let managed = RouteTable(services: service.services, settings: service.settings).routes.filter { route in
            ["/api/v1/projects", "/api/v1/accounts", "/api/v1/audit"].contains { route.path.hasPrefix($0) }
        }
        #expect(managed.count == 13 + 6 + 1 && managed.allSatisfy { $0.scope == nil })
        try await service.run { client async throws in
            for route in managed {
                let response = try await client.send(route.method, Self.filled(route.path), "{}", ann)
                let mayUse = role == .owner && !ofInstance.contains("\(route.method.rawValue) \(route.path)")
                #expect((response.status == .forbidden) == !mayUse && response.status != .unauthorized, "\(route.path) \(response.text)")
                if !mayUse { #expect(Self.isRefused(response, .forbidden, "insufficient_scope")) }
            }
        }
    }

    @Test func `a role that is taken away ends within 15 seconds, and manages nothing from that moment on`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.owner)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events", ann).status == .ok)
            #expect(try await service.accounts.removeRole(of: Self.id(of: "ann@shop.example"), in: "shop", by: .command))
            let made = try await client.send(.post, "/api/v1/projects/shop/keys", #"{"scope":"read"}"#, ann)
            #expect(Self.isRefused(made, .unauthorized, "invalid_session"), "\(made.text)")
            service.time.advance(by: .seconds(15))
            let asked = try await client.get("/api/v1/events", ann.with(.xProject, "shop"))
            #expect(Self.isRefused(asked, .notFound, "project_not_found"), "\(asked.text)")
            #expect(try await client.get("/api/v1/projects", ann).status == .forbidden)
        }
        #expect(try await service.store.keys(of: nil).isEmpty)
    }

    @Test func `metrics name projects to an administrator of the instance alone`() async throws {
        var made = TestService.keyed()
        made.metrics = { Array("a{project=\"shop\"} 1\nb 2\n".utf8) }
        let service = made
        try await service.makeAccount("root@shop.example", isAdministrator: true)
        let (root, ann) = (try await service.session(of: "root@shop.example"), try await service.session(.owner))
        try await service.run { client async throws in
            #expect(try await client.get("/metrics", root).text.contains("shop"))
            #expect(try await client.get("/metrics", ann).text == "b 2\n")
            #expect(try await client.get("/metrics", root.with(.origin, "https://evil.example")).status == .forbidden)
        }
    }

    // MARK: Elsewhere

    @Test func `a call of another protocol has no session`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.owner)
        let desk = try #require(
            ServiceDesk(
                services: service.services, settings: service.settings, memory: MemoryLimits(service.settings), logger: TestService.quiet))
        let cookie = try #require(ann[.cookie])
        for cookie in [cookie, String(cookie.dropFirst("__Host-".count))] {
            let call = ServiceDesk.Call(path: "/analytics.X/Y", headers: [("cookie", cookie)], peer: nil, asker: .staying)
            let failure = await #expect(throws: DeskFailure.self) { try await desk.check(.read, call) }
            #expect(failure?.code == "missing_key")
        }
    }

    @Test func `every answer names the only type that it may be taken for`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.viewer)
        try await service.run { client async throws in
            for path in ["/health/live", "/docs", "/openapi.json", "/metrics", "/nothing", "/api/v1/events", "/api/v1/projects"] {
                for method in [HTTPRequest.Method.get, .head, .options, .delete] {
                    let response = try await client.send(method, path, nil, ann)
                    #expect(response.headers[values: .xContentTypeOptions] == ["nosniff"], "\(method) \(path)")
                }
            }
        }
        try await service.run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange(["nonsense\r\n\r\n"])
            #expect(answer.status == 400 && answer.text.lowercased().contains("x-content-type-options: nosniff\r\n"))
        }
    }
}

extension Array where Element: Sendable {
    fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
