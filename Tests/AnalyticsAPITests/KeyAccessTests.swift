import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Requests with keys, and without.
struct KeyAccessTests {
    private static func basic(_ text: String) -> HTTPFields { [.authorization: "Basic \(Data(text.utf8).base64EncodedString())"] }

    /// A service whose requests need keys.
    private static func keyed(allowsAnonymous: Bool = true) -> TestService {
        var service = TestService()
        service.authenticator = service.keyAccess(allowsAnonymous: allowsAnonymous)
        return service
    }

    private static func isRefused(_ response: TestResponse, _ code: String) -> Bool {
        response.status == .unauthorized && response.code == code && response.isProblem
            && response.headers[.wwwAuthenticate] == "Bearer realm=\"analytics\"" && response.headers[.connection] == nil
    }

    // MARK: Where a key is

    @Test func `a key is read from each place, and decides the project`() async throws {
        let service = Self.keyed()
        let key = try await service.makeKey(.write)
        let places: [HTTPFields] = [
            .bearer(key), [.authorization: "bearer  \(key)"], Self.basic("\(key):"), Self.basic("\(key):any:thing"), [.xAPIKey: key],
            [.xAPIKey: key, .authorization: "Bearer \(key)"],
        ]
        try await service.run { client async throws in
            for (index, place) in places.enumerated() {
                let response = try await client.post("/api/v1/events", Sample.event("\(index)"), place)
                #expect(response.status == .accepted, "\(place) \(response.text)")
            }
            let queried = try await client.post("/api/v1/events?wait=stored&key=\(key)", Sample.event("q"))
            #expect(queried.status == .ok, "\(queried.text)")
        }
        let projects = try service.publisher.events.map(\.project)
        #expect(projects == Array(repeating: "shop", count: places.count + 1))
    }

    @Test func `a key in the query is one only where events are sent`() async throws {
        let service = Self.keyed()
        let (read, admin) = (try await service.makeKey(.read), try await service.makeKey(.admin))
        try await service.run { client async throws in
            for uri in ["/api/v1/events?key=\(read)", "/api/v1/erasures?key=\(admin)", "/api/v1/projects?key=\(admin)"] {
                let response = try await client.get(uri)
                #expect(Self.isRefused(response, "missing_key"), "\(uri) \(response.text)")
            }
            let twice = try await client.post("/api/v1/events?key=\(admin)&key=\(admin)", Sample.event("a"))
            #expect(twice.status == .badRequest && twice.code == "invalid_parameter" && twice.headers[.connection] == "close")
        }
    }

    @Test func `a header that occurs twice, and two different keys, are refused`() async throws {
        let service = Self.keyed()
        let (one, other) = (try await service.makeKey(.write), try await service.makeKey(.write))
        var bearers: HTTPFields = .bearer(one)
        bearers.append(HTTPField(name: .authorization, value: "Bearer \(one)"))
        var headers: HTTPFields = [.xAPIKey: one]
        headers.append(HTTPField(name: .xAPIKey, value: other))
        let requests: [(String, HTTPFields)] = [
            ("", bearers), ("", headers), ("", [.authorization: "Bearer \(one)", .xAPIKey: other]), ("?key=\(other)", .bearer(one)),
        ]
        try await service.run { client async throws in
            for (query, fields) in requests {
                let response = try await client.post("/api/v1/events\(query)", Sample.event("a"), fields)
                #expect(response.status == .badRequest && response.code == "invalid_header", "\(fields) \(response.text)")
                #expect(response.headers[.connection] == "close" && !response.text.contains(one) && !response.text.contains(other))
            }
        }
        #expect(try service.publisher.events.isEmpty)
    }

    // MARK: Refusals

    @Test func `a key that is malformed, unknown, revoked or expired is refused with its reason`() async throws {
        let service = Self.keyed()
        let valid = try await service.makeKey(.read)
        let revoked = try await service.makeKey(.read) { $0.revokedAt = TestService.now - .seconds(1) }
        let expired = try await service.makeKey(.read) { $0.expiresAt = TestService.now }
        let last = try await service.makeKey(.read) { $0.expiresAt = TestService.now + .milliseconds(1) }
        let unknown = APIKey(project: "shop", scope: .read).text
        let cut = String(valid.dropLast())
        let other = cut + (valid.hasSuffix("0") ? "1" : "0")
        let refused: [(key: String, code: String)] = [
            ("nonsense", "invalid_key"), (cut, "invalid_key"), (other, "invalid_key"), (unknown, "invalid_key"),
            (revoked, "revoked_key"), (expired, "expired_key"),
        ]
        try await service.run { client async throws in
            for (key, code) in refused {
                for fields in [.bearer(key), [.xAPIKey: key], Self.basic("\(key):")] as [HTTPFields] {
                    let response = try await client.get("/api/v1/events", fields)
                    #expect(Self.isRefused(response, code), "\(key) \(response.text)")
                    #expect(!response.text.contains(key))
                    let head = try await client.executeRequest(uri: "/api/v1/events", method: .head, headers: fields, body: nil)
                    #expect(head.status == .unauthorized && head.body.readableBytes == 0)
                }
            }
            for key in [valid, last] {
                let response = try await client.get("/api/v1/events", .bearer(key))
                #expect(response.status == .ok)
            }
        }
    }

    @Test(arguments: ["Bearer", "Bearer a b", "Digest x", "Basic", "Basic ?", "Basic bm9jb2xvbg==", "Basic gA==", "Bearer a, Bearer b", ""])
    func `a credential that cannot be read is no key`(value: String) async throws {
        let service = Self.keyed()
        try await service.run { client async throws in
            let response = try await client.get("/api/v1/events", [.authorization: value])
            #expect(Self.isRefused(response, "invalid_key"), "\(response.text)")
        }
    }

    @Test func `the scope of a key is checked before the body is read`() async throws {
        var service = Self.keyed()
        service.settings.maximumBodyBytes = 4
        let read = try await service.makeKey(.read)
        try await service.run { client async throws in
            let response = try await client.send("a", key: read)
            #expect(response.status == .forbidden && response.code == "insufficient_scope" && response.headers[.connection] == "close")
        }
    }

    @Test func `a revoked key is refused within 15 seconds`() async throws {
        let service = Self.keyed()
        let key = try await service.makeKey(.read)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events", .bearer(key)).status == .ok)
            try await service.store.revokeKey(#require(APIKey(key)).digest.keyID, at: TestService.now)
            service.time.advance(by: .seconds(15))
            let response = try await client.get("/api/v1/events", .bearer(key))
            #expect(Self.isRefused(response, "revoked_key"))
        }
    }

    @Test func `who tries many keys is told to wait, and a right key goes on working`() async throws {
        let service = Self.keyed()
        let key = try await service.makeKey(.read)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events", .bearer(key)).status == .ok)
            var last: TestResponse?
            for _ in 0..<30 where last?.status != .tooManyRequests {
                last = try await client.get("/api/v1/events", .bearer(APIKey(project: "shop", scope: .read).text))
            }
            let response = try #require(last)
            #expect(response.status == .tooManyRequests && response.code == "too_many_attempts" && response.isProblem)
            #expect(response.headers[.retryAfter] == "1" && response.headers[.connection] == "close")
            #expect(try await client.get("/api/v1/events", .bearer(key)).status == .ok)
        }
    }

    @Test func `while the store is down a known key goes on working, and others are told to come back`() async throws {
        let service = Self.keyed()
        let (known, other) = (try await service.makeKey(.write), try await service.makeKey(.write))
        try await service.run { client async throws in
            #expect(try await client.send("a", key: known).status == .accepted)
            service.publisher.state.withLock { $0.store = nil }
            service.store.faults.down([.read])
            service.time.advance(by: .seconds(20))
            #expect(try await client.send("b", key: known).status == .accepted)
            let response = try await client.send("c", key: other)
            #expect(response.status == .serviceUnavailable && response.code == "store_unavailable" && response.isProblem)
            #expect(response.headers[.retryAfter] == "1" && response.headers[.connection] == "close")
        }
    }

    // MARK: Without a key

    @Test func `until the first key is made everybody owns the project default, and never again`() async throws {
        let service = Self.keyed()
        try await service.run { client async throws in
            #expect(try await client.post("/api/v1/events", Sample.event("a")).status == .accepted)
            #expect(try await client.get("/api/v1/events").status == .ok)
            #expect(try await client.get("/api/v1/erasures").status == .ok)
            // A key that is sent is not ignored.
            let wrong = try await client.send("b", key: APIKey(project: "default", scope: .write).text)
            #expect(Self.isRefused(wrong, "invalid_key"))
            let key = try await service.makeKey(.write)
            service.time.advance(by: .seconds(1))
            for uri in ["/api/v1/events", "/api/v1/erasures", "/api/v1/projects"] {
                let response = try await client.get(uri)
                #expect(Self.isRefused(response, "missing_key") && !response.text.contains("keys create"), "\(response.text)")
            }
            try await service.store.revokeKey(#require(APIKey(key)).digest.keyID, at: TestService.now)
            service.time.advance(by: .seconds(60))
            let closed = try await client.post("/api/v1/events", Sample.event("c"))
            #expect(Self.isRefused(closed, "missing_key"))
        }
        #expect(try service.publisher.events.map(\.project) == ["default"])
    }

    @Test func `where nobody may do without a key, the answer says how the first is made`() async throws {
        let service = Self.keyed(allowsAnonymous: false)
        try await service.run { client async throws in
            let response = try await client.get("/api/v1/events")
            #expect(Self.isRefused(response, "missing_key") && response.text.contains("analytics keys create"))
            _ = try await service.makeKey(.write)
            service.time.advance(by: .seconds(1))
            let later = try await client.get("/api/v1/events")
            #expect(Self.isRefused(later, "missing_key") && !later.text.contains("analytics keys create"))
            service.store.faults.down([.read])
            #expect(try await client.get("/api/v1/events").code == "missing_key")
        }
    }

    @Test func `where the store has not said whether there are keys, nobody is let in without one`() async throws {
        let service = Self.keyed()
        service.store.faults.down([.read])
        try await service.run { client async throws in
            let response = try await client.post("/api/v1/events", Sample.event("a"))
            #expect(response.status == .serviceUnavailable && response.code == "store_unavailable" && response.headers[.retryAfter] == "1")
            service.store.faults.down([])
            service.time.advance(by: .seconds(5))
            #expect(try await client.post("/api/v1/events", Sample.event("b")).status == .accepted)
        }
    }

    // MARK: The administrator of the instance

    @Test func `the administrator's token manages projects, and is no key of any`() async throws {
        let service = Self.keyed()
        _ = try await service.makeKey(.read)
        try await service.run { client async throws in
            for fields in [.bearer(TestService.adminToken), [.xAPIKey: TestService.adminToken]] as [HTTPFields] {
                #expect(try await client.get("/api/v1/projects", fields).status == .ok)
                for uri in ["/api/v1/events", "/api/v1/erasures"] {
                    let response = try await client.get(uri, fields)
                    #expect(response.status == .forbidden && response.code == "insufficient_scope" && response.text.contains("ADMIN_TOKEN"))
                }
            }
            let token = TestService.adminToken
            for wrong in ["b\(token.dropFirst())", "\(token.dropLast())x", "\(token)x", String(token.dropLast())] {
                let response = try await client.get("/api/v1/projects", .bearer(wrong))
                #expect(Self.isRefused(response, "invalid_key"))
            }
        }
        let none = KeyAccess(
            directory: KeyDirectory(store: service.store, clock: TestService.clock, logger: TestService.quiet),
            latch: AnonymousLatch(store: service.store), allowsAnonymous: false, adminToken: nil)
        let head = HTTPRequest(
            method: .get, scheme: "http", authority: "x", path: "/api/v1/projects", headerFields: .bearer(TestService.adminToken))
        let problem = await #expect(throws: Problem.self) {
            try await none.administrator(of: Request(head: head, body: RequestBody(buffer: .init())), from: "")
        }
        #expect(problem?.code == "invalid_key")
    }

    // MARK: Streams

    @Test func `a stream is authenticated again every 10 seconds, before anything is sent`() async throws {
        let (time, calls) = (ManualClock(), Counting())
        let check = RepeatedCheck(elapsed: time.elapsed) {
            if calls.next() == 2 { throw Problem.invalidKey }
        }
        time.advance(by: .milliseconds(9_999))
        try await check.check()
        #expect(calls.value == 0)
        time.advance(by: .milliseconds(1))
        try await check.check()
        try await check.check()
        #expect(calls.value == 1)
        time.advance(by: .seconds(10))
        await #expect(throws: Problem.self) { try await check.check() }
    }

    @Test func `an export ends when its key is revoked`() async throws {
        let service = Self.keyed()
        let key = try await service.makeKey(.read)
        try await service.storeLargeEvents(of: "shop")
        let router = makeRouter(
            services: service.services, settings: service.settings, intake: IntakeRoute.standard, elapsed: service.time.elapsed)
        try await Application(router: router, logger: TestService.quiet).test(.router) { client in
            let whole = try await client.get("/api/v1/events/export", .bearer(key))
            #expect(whole.status == .ok && whole.text.contains(#"{"end":{"events":20"#))
            let slices = Counting()
            service.store.beforeRead { [store = service.store, time = service.time] operation async throws(StoreError) in
                guard operation == "events", slices.next() == 2 else { return }
                try await store.revokeKey(APIKey(key)!.digest.keyID, at: TestService.now)
                time.advance(by: .seconds(15))
            }
            await #expect(throws: (any Error).self) { try await client.get("/api/v1/events/export", .bearer(key)) }
            #expect(slices.value >= 2)
        }
    }
}
