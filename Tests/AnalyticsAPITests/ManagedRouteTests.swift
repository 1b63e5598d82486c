import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Projects and keys over HTTP.
struct ManagedRouteTests {
    private static let instance = HTTPFields.bearer(TestService.adminToken)

    /// With an admin key of the project `shop`, which has a record.
    private static func managed() async throws -> (service: TestService, shop: HTTPFields) {
        var service = TestService()
        service.authenticator = service.keyAccess()
        return (service, .bearer(try await service.makeKey(.admin)))
    }

    private static func keys(_ response: TestResponse) -> [[String: Any]] { response.json["keys"] as? [[String: Any]] ?? [] }

    // MARK: Projects

    @Test func `the administrator of the instance creates projects, and each is listed to those who manage it`() async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let created = try await client.send(.post, "/api/v1/projects", #"{"id":"bank","title":"The bank"}"#, Self.instance)
            #expect(created.status == .created && created.headers[.location] == "/api/v1/projects/bank")
            let expected =
                #"{"id":"bank","title":"The bank","timeZone":null,"retentionDays":null,"properties":[],"visitorIds":false,"#
                + #""allowedOrigins":[],"requestsPerSecond":null,"eventsPerSecond":null,"createdAt":"2026-03-01T12:00:00.000Z","#
                + #""archivedAt":null}"#
            #expect(created.text == expected)
            #expect(try await client.get("/api/v1/projects/bank", Self.instance).text == expected)
            let all = try await client.get("/api/v1/projects", Self.instance)
            #expect((all.json["projects"] as? [[String: Any]])?.map { $0["id"] as? String } == ["bank", "shop"])
            let own = try await client.get("/api/v1/projects", shop)
            #expect((own.json["projects"] as? [[String: Any]])?.map { $0["id"] as? String } == ["shop"])
            let again = try await client.send(.post, "/api/v1/projects", #"{"id":"bank"}"#, Self.instance)
            #expect(again.status == .conflict && again.code == "project_exists" && again.isProblem)
        }
    }

    @Test func `a key creates no project`() async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let refused = try await client.send(.post, "/api/v1/projects", #"{"id":"bank"}"#, shop)
            #expect(refused.status == .forbidden && refused.code == "insufficient_scope" && refused.headers[.connection] == "close")
        }
        #expect(service.store.records.map(\.project) == ["shop"])
    }

    @Test func `a project is changed member by member, and null removes`() async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let all = try await client.send(
                .patch, "/api/v1/projects/shop",
                #"{"title":"Shop","timeZone":"Europe/Berlin","retentionDays":30,"properties":["data.plan","data.plan"],"visitorIds":true,"#
                    + #""allowedOrigins":["https://Shop.example:443"],"requestsPerSecond":5,"eventsPerSecond":50,"archived":true}"#, shop)
            #expect(all.status == .ok, "\(all.text)")
            let changed =
                #"{"id":"shop","title":"Shop","timeZone":"Europe/Berlin","retentionDays":30,"properties":["data.plan"],"visitorIds":true,"#
                + #""allowedOrigins":["https://shop.example"],"requestsPerSecond":5,"eventsPerSecond":50,"#
                + #""createdAt":"2026-03-01T12:00:00.000Z","archivedAt":"2026-03-01T12:00:00.000Z"}"#
            #expect(all.text == changed)
            #expect(try await client.send(.patch, "/api/v1/projects/shop", "{}", shop).text == changed)
            let some = try await client.send(
                .patch, "/api/v1/projects/shop", #"{"title":null,"requestsPerSecond":null,"archived":false}"#, shop)
            let json = some.json
            #expect(json["title"] is NSNull && json["requestsPerSecond"] is NSNull && json["archivedAt"] is NSNull, "\(some.text)")
            #expect(json["eventsPerSecond"] as? Int == 50 && json["timeZone"] as? String == "Europe/Berlin")
        }
    }

    @Test(arguments: [
        (#"{"colour":"red"}"#, "unknown_parameter", "Known here: title, timeZone"), (#"{"id":"bank"}"#, "unknown_parameter", "'id'"),
        (#"{"title":1}"#, "invalid_parameter", "'title'"), (#"{"title":"a\u0000"}"#, "invalid_parameter", "'title'"),
        (#"{"title":"a\n"}"#, "invalid_parameter", "'title'"), (#"{"timeZone":null}"#, "invalid_parameter", "'timeZone'"),
        (#"{"timeZone":"Mars/Base"}"#, "invalid_parameter", "'timeZone'"),
        (#"{"retentionDays":-1}"#, "invalid_parameter", "'retentionDays'"),
        (#"{"properties":["plan"]}"#, "invalid_parameter", "'properties[0]'"), (#"{"visitorIds":1}"#, "invalid_parameter", "'visitorIds'"),
        (#"{"allowedOrigins":["shop.example"]}"#, "invalid_parameter", "'allowedOrigins'"),
        (#"{"allowedOrigins":["*"]}"#, "invalid_parameter", "'allowedOrigins'"),
        (#"{"requestsPerSecond":0}"#, "invalid_parameter", "'requestsPerSecond'"),
        (#"{"archived":"yes"}"#, "invalid_parameter", "'archived'"),
        ("[]", "invalid_json", "JSON object"), ("{", "invalid_json", "JSON"), (#"{"title":"a","title":"b"}"#, "invalid_json", "twice"),
    ])
    func `a wrong change is refused with its place, and changes nothing`(body: String, code: String, text: String) async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let refused = try await client.send(.patch, "/api/v1/projects/shop", body, shop)
            #expect(refused.status == .badRequest && refused.code == code && refused.text.contains(text), "\(refused.text)")
        }
        #expect(service.store.records == [ProjectRecord(project: "shop", createdAt: TestService.now)])
    }

    @Test(arguments: [#"{"title":"a"}"#, #"{"id":"Shop"}"#, #"{"id":""}"#, #"{"id":1}"#, #"{"id":"a","key":"b"}"#])
    func `a project without a right id is not created`(body: String) async throws {
        let (service, _) = try await Self.managed()
        try await service.run { client async throws in
            #expect(try await client.send(.post, "/api/v1/projects", body, Self.instance).status == .badRequest)
        }
        #expect(service.store.records.map(\.project) == ["shop"])
    }

    @Test func `bodies are small, are JSON, and have no parameters beside them`() async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let large = try await client.send(.patch, "/api/v1/projects/shop", String(repeating: " ", count: 70_000) + "{}", shop)
            #expect(large.status == .contentTooLarge)
            let text = try await client.send(.patch, "/api/v1/projects/shop", "{}", shop, type: "text/plain")
            #expect(text.status == .unsupportedMediaType)
            for (method, uri) in [(HTTPRequest.Method.patch, "/api/v1/projects/shop?a=b"), (.get, "/api/v1/projects/shop/keys?a=b")] {
                #expect(try await client.send(method, uri, method == .get ? nil : "{}", shop).code == "unknown_parameter")
            }
        }
    }

    @Test func `bodies that are slow to arrive keep no other request from managing`() async throws {
        let (service, shop) = try await Self.managed()
        let memory = MemoryLimits(service.settings)
        let application = makeApplication(
            services: service.services, settings: service.settings, memory: memory, logger: TestService.quiet)
        let head =
            "PATCH /api/v1/projects/shop HTTP/1.1\r\nHost: x\r\nAuthorization: \(shop[.authorization] ?? "")\r\n"
            + "Content-Type: application/json\r\nContent-Length: 2000\r\n\r\n"
        try await application.test(.live) { client in
            let port = try #require(client.port)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { _ = try await RawConnection(port: port).exchange([head + String(repeating: " ", count: 1_000)]) }
                }
                try await eventually("eight bodies have begun") { memory.bodies.bytesInUse >= 8_000 }
                let changed = try await client.send(.patch, "/api/v1/projects/shop", #"{"title":"x"}"#, shop)
                #expect(changed.status == .ok, "\(changed.text)")
                group.cancelAll()
            }
        }
    }

    @Test func `a slot that is paused is another's to take, and is released once`() throws {
        let slots = RequestSlots(limit: 1, full: "full")
        do {
            let slot = try slots.take()
            slot.pause()
            let other = try slots.take()
            #expect(throws: Problem.self) { try slot.resume() }
            other.pause()
            try slot.resume()
            #expect(throws: Problem.self) { try slots.take() }
            withExtendedLifetime((slot, other)) {}
        }
        let slot = try slots.take()
        #expect(throws: Problem.self) { try slots.take() }
        withExtendedLifetime(slot) {}
    }

    @Test func `a caller makes sixty changes at once and ten per second, and reads as much as it wants`() async throws {
        let (service, shop) = try await Self.managed()
        let other = HTTPFields.bearer(try await service.makeKey(.admin))
        try await service.run { client async throws in
            func change(_ fields: HTTPFields) async throws -> TestResponse {
                try await client.send(.patch, "/api/v1/projects/shop", #"{"title":"x"}"#, fields)
            }
            for _ in 0..<60 { #expect(try await change(shop).status == .ok) }
            let refused = try await change(shop)
            #expect(refused.status == .tooManyRequests && refused.code == "rate_limited" && refused.isProblem, "\(refused.text)")
            #expect(refused.headers[.retryAfter] == "1" && refused.headers[.connection] == "close")
            for _ in 0..<5 { #expect(try await client.get("/api/v1/projects/shop", shop).status == .ok) }
            for fields in [other, Self.instance] { #expect(try await change(fields).status == .ok) }
            service.time.advance(by: .seconds(1))
            for _ in 0..<10 { #expect(try await change(shop).status == .ok) }
            #expect(try await change(shop).code == "rate_limited")
        }
    }

    @Test func `eight requests manage at the same time, others are refused until one has ended`() async throws {
        let (service, shop) = try await Self.managed()
        let (waiting, goOn) = (Counting(), Flag())
        service.store.beforeRead { (name) async throws(StoreError) in
            guard name == "keys", !goOn.isTaken else { return }
            // A ninth does not wait, so that the test fails and does not hang.
            if waiting.next() > 8 { goOn.isTaken = true }
            while !goOn.isTaken { try? await Task.sleep(for: .milliseconds(1)) }
        }
        try await service.run { client async throws in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await client.get("/api/v1/projects/shop/keys", shop).status.code } }
                try await eventually("eight wait") { waiting.value == 8 }
                let refused = try await client.get("/api/v1/projects/shop/keys", shop)
                #expect(refused.status == .serviceUnavailable && refused.code == "overloaded", "\(refused.text)")
                goOn.isTaken = true
                for try await status in group { #expect(status == 200) }
            }
            #expect(try await client.get("/api/v1/projects/shop/keys", shop).status == .ok)
        }
    }

    // MARK: Keys

    @Test func `a key is made, shown once, works, and is listed`() async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let made = try await client.send(
                .post, "/api/v1/projects/shop/keys", #"{"scope":"write","name":"web","expiresAt":"2026-03-02T00:00:00Z"}"#, shop)
            #expect(made.status == .created && made.headers[.cacheControl] == "no-store", "\(made.text)")
            let text = try #require(made.json["key"] as? String)
            let key = try #require(APIKey(text))
            let id = key.digest.keyID
            let admin = try #require(APIKey(String(shop[.authorization]!.dropFirst(7))))
            #expect(made.json["id"] as? String == id && made.json["prefix"] as? String == key.prefix && key.scope == .write)
            #expect(made.json["maker"] as? String == admin.digest.keyID)
            #expect(try await client.send("a", key: text).status == .accepted)
            let listed = try await client.get("/api/v1/projects/shop/keys", shop)
            let one = try #require(Self.keys(listed).first { $0["id"] as? String == id })
            #expect(one["name"] as? String == "web" && one["scope"] as? String == "write" && one["project"] as? String == "shop")
            #expect(one["expiresAt"] as? String == "2026-03-02T00:00:00.000Z" && one["revokedAt"] is NSNull && one["lastUsedAt"] is NSNull)
            #expect(Self.keys(listed).count == 2 && !listed.text.contains(text) && one["key"] == nil)
            let byInstance = try await client.send(
                .post, "/api/v1/projects/shop/keys",
                #"{"scope":"read","expiresAt":null,"requestsPerSecond":7,"eventsPerSecond":null}"#, Self.instance)
            #expect(byInstance.json["requestsPerSecond"] as? Int == 7 && byInstance.json["eventsPerSecond"] is NSNull)
            #expect(byInstance.json["maker"] as? String == "administrator" && byInstance.json["name"] as? String == "")
        }
        #expect(try service.publisher.events.map(\.project) == ["shop"])
    }

    @Test func `everybody makes the first key of the project default, which ends that`() async throws {
        var open = TestService()
        open.authenticator = open.keyAccess()
        let service = open
        try await service.run { client async throws in
            #expect(try await Self.keys(client.get("/api/v1/projects/default/keys")).isEmpty)
            #expect(try await client.get("/api/v1/projects/default").json["id"] as? String == "default")
            #expect(try await client.send(.post, "/api/v1/projects/shop/keys", #"{"scope":"read"}"#).status == .notFound)
            let made = try await client.send(.post, "/api/v1/projects/default/keys", #"{"scope":"admin"}"#)
            #expect(made.status == .created && made.json["maker"] as? String == "anonymous", "\(made.text)")
            service.time.advance(by: .seconds(1))
            #expect(try await client.send(.post, "/api/v1/projects/default/keys", #"{"scope":"read"}"#).code == "missing_key")
            let key = try #require(made.json["key"] as? String)
            #expect(try await Self.keys(client.get("/api/v1/projects/default/keys", .bearer(key))).count == 1)
        }
    }

    @Test(arguments: [
        ("{}", "'scope'"), (#"{"scope":"all"}"#, "'scope'"), (#"{"scope":"read","name":null}"#, "'name'"),
        (#"{"scope":"read","name":"a\tb"}"#, "'name'"), (#"{"scope":"read","expiresAt":"tomorrow"}"#, "'expiresAt'"),
        (#"{"scope":"read","expiresAt":"2026-03-01T12:00:00Z"}"#, "expires in the future"),
        (#"{"scope":"read","project":"bank"}"#, "'project'"), (#"{"scope":"read","eventsPerSecond":0}"#, "'eventsPerSecond'"),
    ])
    func `a wrong key is not made`(body: String, text: String) async throws {
        let (service, shop) = try await Self.managed()
        try await service.run { client async throws in
            let refused = try await client.send(.post, "/api/v1/projects/shop/keys", body, shop)
            #expect(refused.status == .badRequest && refused.text.contains(text), "\(refused.text)")
        }
        #expect(try await service.store.keys(of: nil).count == 1)
    }

    @Test func `a key is revoked once`() async throws {
        let (service, shop) = try await Self.managed()
        let key = try await service.makeKey(.read)
        let id = try #require(APIKey(key)).digest.keyID
        try await service.run { client async throws in
            let revoked = try await client.send(.delete, "/api/v1/projects/shop/keys/\(id)", nil, shop)
            #expect(revoked.status == .ok && revoked.json["revokedAt"] as? String == "2026-03-01T12:00:00.000Z", "\(revoked.text)")
            #expect(try await client.send(.delete, "/api/v1/projects/shop/keys/\(id)", nil, shop).text == revoked.text)
            #expect(try await client.get("/api/v1/events", .bearer(key)).code == "revoked_key")
            let rotated = try await client.send(.post, "/api/v1/projects/shop/keys/\(id)/rotate", nil, shop)
            #expect(rotated.status == .badRequest && rotated.text.contains("before it is revoked"), "\(rotated.text)")
            let unknown = try await client.send(.delete, "/api/v1/projects/shop/keys/unknown", nil, shop)
            #expect(unknown.status == .notFound && unknown.code == "key_not_found" && unknown.isProblem)
        }
    }

    @Test(arguments: [
        ("{}", "2026-03-01T13:00:00.000Z"), (nil, "2026-03-01T13:00:00.000Z"), (#"{"overlapSeconds":60}"#, "2026-03-01T12:01:00.000Z"),
    ])
    func `a key is replaced, and the old one expires after a while`(body: String?, expiry: String) async throws {
        let (service, shop) = try await Self.managed()
        let text = try await service.makeKey(.read) { $0.name = "reader" }
        let old = try #require(APIKey(text))
        try await service.run { client async throws in
            let made = try await client.send(.post, "/api/v1/projects/shop/keys/\(old.digest.keyID)/rotate", body, shop)
            #expect(made.status == .created && made.headers[.cacheControl] == "no-store", "\(made.text)")
            #expect(made.json["scope"] as? String == "read" && made.json["name"] as? String == "reader")
            let new = try #require(made.json["key"] as? String)
            #expect(try await client.get("/api/v1/events", .bearer(new)).status == .ok)
            #expect(try await client.get("/api/v1/events", .bearer(old.text)).status == .ok)
            let listed = Self.keys(try await client.get("/api/v1/projects/shop/keys", shop))
            #expect(listed.first { $0["id"] as? String == old.digest.keyID }?["expiresAt"] as? String == expiry)
            for wrong in [#"{"overlapSeconds":-1}"#, #"{"overlapSeconds":2592001}"#, #"{"overlap":1}"#] {
                let refused = try await client.send(.post, "/api/v1/projects/shop/keys/\(old.digest.keyID)/rotate", wrong, shop)
                #expect(refused.status == .badRequest)
            }
        }
    }

    // MARK: Who may not

    @Test func `another project's things are answered like things that do not exist`() async throws {
        let (service, shop) = try await Self.managed()
        let (other, own) = (try await service.makeKey(.read, of: "bank"), try await service.makeKey(.read))
        let id = try #require(APIKey(other)).digest.keyID
        let ownID = try #require(APIKey(own)).digest.keyID
        let requests: [(HTTPRequest.Method, String, String?)] = [
            (.get, "", nil), (.patch, "", #"{"title":"x"}"#), (.get, "/usage", nil), (.get, "/keys", nil),
            (.post, "/keys", #"{"scope":"read"}"#),
            (.delete, "/keys/\(id)", nil), (.post, "/keys/\(id)/rotate", nil), (.delete, "/keys/\(ownID)", nil),
        ]
        try await service.run { client async throws in
            for (method, path, body) in requests {
                let other = try await client.send(method, "/api/v1/projects/bank\(path)", body, shop)
                let none = try await client.send(method, "/api/v1/projects/none\(path)", body, shop)
                #expect(other.status == .notFound && other.code == "project_not_found" && other.text == none.text, "\(path) \(other.text)")
            }
            // A key of another project than that of the path, also for those who manage both.
            for fields in [shop, Self.instance] {
                for (method, more) in [(HTTPRequest.Method.delete, ""), (.post, "/rotate")] {
                    let response = try await client.send(method, "/api/v1/projects/shop/keys/\(id)\(more)", nil, fields)
                    #expect(response.status == .notFound && response.code == "key_not_found")
                }
            }
            #expect(try await client.get("/api/v1/projects/none", Self.instance).code == "project_not_found")
        }
        #expect(try await service.store.keys(of: "bank").map(\.revokedAt) == [nil])
    }

    @Test func `keys that are no admin's, and no key at all, manage nothing`() async throws {
        let (service, _) = try await Self.managed()
        let (read, write) = (try await service.makeKey(.read), try await service.makeKey(.write))
        let routes = RouteTable(services: service.services, settings: service.settings).routes.filter {
            $0.path.starts(withUTF8: "/api/v1/projects")
        }
        #expect(routes.count == 13 && routes.allSatisfy { $0.scope == nil })
        try await service.run { client async throws in
            for route in routes {
                let none = try await client.send(route.method, route.path, nil)
                #expect(none.status == .unauthorized && none.code == "missing_key")
                for key in [read, write] {
                    let refused = try await client.send(route.method, route.path, nil, .bearer(key))
                    #expect(refused.status == .forbidden && refused.code == "insufficient_scope", "\(route.path) \(refused.text)")
                }
            }
        }
    }

    /// A browser may send remembered credentials by itself.
    @Test func `a page of another site manages nothing`() async throws {
        let (service, shop) = try await Self.managed()
        service.projects.take([ProjectRecord(project: "shop", origins: ["https://shop.example"])])
        try await service.run { client async throws in
            for var fields in [shop, Self.instance] {
                fields[.origin] = "https://shop.example"
                for (method, path) in [(HTTPRequest.Method.get, "/api/v1/projects"), (.post, "/api/v1/projects/shop/keys")] {
                    let refused = try await client.send(method, path, method == .get ? nil : #"{"scope":"read"}"#, fields)
                    #expect(refused.status == .forbidden && refused.code == "origin_not_allowed")
                }
            }
        }
        #expect(try await service.store.keys(of: nil).count == 1)
    }
}
