import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Pages of other sites that a project allows to send events.
struct CrossOriginTests {
    private static let site = "https://shop.example"

    /// `shop` and `bank` allow a site each.
    private static func service() async throws -> (service: TestService, key: String) {
        var service = TestService()
        service.authenticator = service.keyAccess()
        service.projects.take([
            ProjectRecord(project: "shop", origins: [site]), ProjectRecord(project: "bank", origins: ["https://bank.example"]),
        ])
        return (service, try await service.makeKey(.write))
    }

    private static func preflight(_ origin: String, _ method: String = "POST") -> HTTPFields {
        [.origin: origin, .accessControlRequestMethod: method, .accessControlRequestHeaders: "authorization,content-type"]
    }

    private static func isTold(_ response: TestResponse, _ origin: String = site) -> Bool {
        response.headers[.accessControlAllowOrigin] == origin && response.headers[.vary] == "Origin"
            && response.headers[.accessControlAllowCredentials] == nil
    }

    private static func isNotTold(_ response: TestResponse) -> Bool {
        !response.headers.contains { $0.name.canonicalName.starts(withUTF8: "access-control-") }
    }

    // MARK: Preflights

    @Test(arguments: ["/api/v1/events", "/api/v1/events/batch", "/api/v1/identify", "/ingest", "/event"])
    func `a site that some project allows may send events`(path: String) async throws {
        let (service, _) = try await Self.service()
        try await service.run { client async throws in
            for origin in [Self.site, "https://bank.example"] {
                let response = try await client.executeRequest(uri: path, method: .options, headers: Self.preflight(origin), body: nil)
                #expect(response.status == .noContent && Self.isTold(response, origin), "\(response.headers)")
                #expect(response.headers[.accessControlAllowMethods] == "POST" && response.headers[.accessControlMaxAge] == "7200")
                #expect(response.headers[.accessControlAllowHeaders] == "authorization, content-type, x-api-key, idempotency-key")
                #expect(response.headers[.allow]?.contains("POST") == true)
            }
        }
    }

    @Test(arguments: [
        ("/api/v1/events", "https://other.example", "POST"), ("/api/v1/events", "null", "POST"), ("/api/v1/events", site, "GET"),
        ("/api/v1/events", site + ":8443", "POST"), ("/api/v1/events", site + ".evil.example", "POST"), ("/api/v1/events", site, "post"),
        ("/api/v1/events/counts", site, "GET"), ("/api/v1/analytics/funnels", site, "POST"), ("/api/v1/erasures", site, "POST"),
        ("/api/v1/projects/shop/keys", site, "POST"), ("/health/live", site, "GET"), ("/openapi.json", site, "GET"),
    ])
    func `nothing else is allowed`(path: String, origin: String, method: String) async throws {
        let (service, _) = try await Self.service()
        try await service.run { client async throws in
            let response = try await client.executeRequest(uri: path, method: .options, headers: Self.preflight(origin, method), body: nil)
            #expect(response.status == .noContent && response.headers[.allow] != nil && Self.isNotTold(response), "\(response.headers)")
        }
    }

    @Test func `OPTIONS that is no preflight, and an unknown path, are answered as ever`() async throws {
        let (service, _) = try await Self.service()
        try await service.run { client async throws in
            for headers in [[:], [.origin: Self.site], [.accessControlRequestMethod: "POST"]] as [HTTPFields] {
                let response = try await client.executeRequest(uri: "/api/v1/events", method: .options, headers: headers, body: nil)
                #expect(response.status == .noContent && Self.isNotTold(response))
            }
            let unknown = try await client.executeRequest(uri: "/api", method: .options, headers: Self.preflight(Self.site), body: nil)
            #expect(unknown.status == .notFound && Self.isNotTold(unknown))
        }
    }

    // MARK: Events

    @Test func `an allowed page reads its answers, errors too`() async throws {
        let (service, key) = try await Self.service()
        try await service.run { client async throws in
            let accepted = try await client.send("a", key: key, [.origin: Self.site])
            #expect(accepted.status == .accepted && Self.isTold(accepted))
            let headers: HTTPFields = [.origin: Self.site, .authorization: "Bearer \(key)"]
            for (uri, body, status) in [
                ("/api/v1/events", "{", 400), ("/api/v1/events?x=1", "{}", 400), ("/api/v1/events/batch", "[1]", 400),
            ] {
                let refused = try await client.post(uri, body, headers)
                #expect(refused.status.code == status && refused.isProblem && Self.isTold(refused), "\(refused.text)")
            }
            service.projects.take([ProjectRecord(project: "shop", archivedAt: TestService.now, origins: [Self.site])])
            let archived = try await client.send("b", key: key, [.origin: Self.site])
            #expect(archived.code == "project_archived" && Self.isTold(archived))
        }
    }

    @Test(arguments: ["https://bank.example", "https://other.example", "null", "http://shop.example", "https://shop.example:444", ""])
    func `a page that the key's project does not allow sends nothing`(origin: String) async throws {
        let (service, key) = try await Self.service()
        try await service.run { client async throws in
            let refused = try await client.send("a", key: key, [.origin: origin])
            #expect(refused.status == .forbidden && refused.code == "origin_not_allowed" && Self.isNotTold(refused), "\(refused.text)")
            #expect(refused.headers[.connection] == "close")
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `no page reads what is stored, and the service's own pages need no permission`() async throws {
        let (service, key) = try await Self.service()
        let read = try await service.makeKey(.read)
        try await service.run { client async throws in
            let asked = try await client.get("/api/v1/events", [.origin: Self.site, .authorization: "Bearer \(read)"])
            #expect(asked.status == .ok && Self.isNotTold(asked))
            let own = try await client.send("a", key: key, [.origin: "http://localhost"])
            let program = try await client.send("b", key: key)
            #expect(own.status == .accepted && program.status == .accepted && Self.isNotTold(own) && Self.isNotTold(program))
        }
    }

    @Test func `while no key is needed, an allowed page is refused all the same`() async throws {
        let service = TestService()
        service.projects.take([ProjectRecord(project: "default", origins: [Self.site])])
        try await service.run { client async throws in
            let refused = try await client.post("/api/v1/events", Sample.event("a"), [.origin: Self.site])
            #expect(refused.status == .forbidden && refused.code == "origin_not_allowed" && Self.isNotTold(refused))
        }
    }

    // MARK: As navigator.sendBeacon sends it

    @Test func `JSON comes as text with a key`() async throws {
        let (service, key) = try await Self.service()
        try await service.run { client async throws in
            for (index, type) in ["text/plain", "text/plain;charset=UTF-8", "Text/Plain; charset=utf-8"].enumerated() {
                let headers: HTTPFields = [.origin: Self.site, .contentType: type]
                let response = try await client.post("/api/v1/events?key=\(key)", Sample.event("\(index)"), headers)
                #expect(response.status == .accepted && Self.isTold(response), "\(response.text)")
            }
            let batch = try await client.post("/api/v1/events/batch?key=\(key)", "[\(Sample.event("b"))]", [.contentType: "text/plain"])
            #expect(batch.status == .accepted)
            let other = try await client.post("/api/v1/events?key=\(key)", Sample.event("c"), [.contentType: "text/plain;charset=utf-16"])
            #expect(other.status == .unsupportedMediaType)
            let html = try await client.post("/api/v1/events?key=\(key)", Sample.event("c"), [.contentType: "text/html"])
            #expect(html.status == .unsupportedMediaType)
        }
        #expect(try service.publisher.events.map(\.id) == ["0", "1", "2", "b"])
    }

    /// A page can send it without a preflight.
    @Test func `JSON does not come as text without a key`() async throws {
        let service = TestService()
        try await service.run { client async throws in
            let response = try await client.post("/api/v1/events", Sample.event("a"), [.contentType: "text/plain"])
            #expect(response.status == .unsupportedMediaType && response.code == "unsupported_media_type")
        }
    }
}
