import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// What a project may send per second, and projects that are archived.
struct RateLimitTests {
    /// `shop` with these rates, and `bank` without.
    private static func service(
        _ rates: ProjectRates, archivedAt: Timestamp? = nil
    ) async throws -> (service: TestService, key: String) {
        var service = TestService()
        service.authenticator = service.keyAccess()
        service.projects.take([ProjectRecord(project: "shop", archivedAt: archivedAt, rates: rates), ProjectRecord(project: "bank")])
        return (service, try await service.makeKey(.admin))
    }

    private static func batch(_ count: Int, _ more: String = "") -> String {
        "[\((0..<count).map { Sample.event("e\($0)") }.joined(separator: ","))\(more)]"
    }

    @Test func `requests beyond the rate are refused before their bodies are read`() async throws {
        let (service, key) = try await Self.service(ProjectRates(requestsPerSecond: 2))
        let bank = try await service.makeKey(.write, of: "bank")
        try await service.run { client async throws in
            let first = try await client.send("a", key: key)
            #expect(first.status == .accepted)
            #expect(first.headers[.rateLimitPolicy] == #""requests";q=2;w=1"# && first.headers[.rateLimit] == #""requests";r=1;t=1"#)
            let second = try await client.send("b", key: key)
            #expect(second.status == .accepted && second.headers[.rateLimit] == #""requests";r=0;t=1"#)
            let third = try await client.send("b", key: key)
            #expect(third.status == .tooManyRequests && third.code == "rate_limited" && third.isProblem, "\(third.text)")
            #expect(third.headers[.retryAfter] == "1" && third.headers[.connection] == nil)
            #expect(third.headers[.rateLimitPolicy] == #""requests";q=2;w=1"# && third.headers[.rateLimit] == #""requests";r=0;t=1"#)
            // Questions are counted apart: who may only send uses up nothing of them.
            for left in [1, 0] {
                let asked = try await client.get("/api/v1/events", .bearer(key))
                #expect(asked.status == .ok && asked.headers[.rateLimit] == "\"requests\";r=\(left);t=1")
            }
            #expect(try await client.get("/api/v1/events", .bearer(key)).status == .tooManyRequests)
            let other = try await client.send("c", key: bank)
            #expect(other.status == .accepted && other.headers[.rateLimit] == nil && other.headers[.rateLimitPolicy] == nil)
            service.time.advance(by: .milliseconds(500))
            #expect(try await client.send("d", key: key).status == .accepted)
            #expect(try await client.send("e", key: key).status == .tooManyRequests)
            // A refused request tells its errors of the request first.
            #expect(try await client.send("f", key: "wrong").status == .unauthorized)
        }
        #expect(try service.publisher.events.map(\.id) == ["a", "b", "c", "d"])
    }

    @Test func `a refused request ends its connection only if much of its body may still come`() async throws {
        let (service, key) = try await Self.service(ProjectRates(requestsPerSecond: 1))
        let ask = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        try await service.run(.live) { client in
            #expect(try await client.send("a", key: key).status == .accepted)
            let connection = RawConnection(port: client.port!)
            for (credential, status) in [(key, 429), ("nonsense", 401)] {
                let head = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(credential)\r\n"
                let body = String(repeating: "x", count: 65_536)
                let short = head + "Content-Length: 65536\r\n\r\n" + body + ask
                let kept = try await connection.exchange([short], until: "live\"")
                #expect(kept.status == status && kept.text.contains("200 OK"), "\(kept.text)")
                for more in ["Content-Length: 65537", "Transfer-Encoding: chunked", "Content-Length: 1\r\nExpect: 100-continue"] {
                    let closed = try await connection.exchange([head + more + "\r\n\r\n"])
                    #expect(closed.status == status && closed.isClosed && closed.text.contains("Connection: close"), "\(closed.text)")
                }
            }
        }
    }

    @Test func `events beyond the rate are refused, rejected ones counted`() async throws {
        let (service, key) = try await Self.service(ProjectRates(eventsPerSecond: 3))
        let headers = HTTPFields.bearer(key)
        try await service.run { client async throws in
            let first = try await client.post("/api/v1/events/batch", Self.batch(2, ",1"), headers)
            #expect(first.status == .accepted && first.headers[.rateLimit] == nil, "\(first.text)")
            let second = try await client.send("a", key: key)
            #expect(second.status == .tooManyRequests && second.code == "rate_limited" && second.isProblem, "\(second.text)")
            #expect(second.headers[.retryAfter] == "1" && second.headers[.rateLimitPolicy] == #""events";q=3;w=1;qu="events""#)
            #expect(second.headers[.rateLimit] == #""events";r=0;t=1"#)
            service.time.advance(by: .seconds(1))
            // A batch that is larger than the limit passes when nothing was sent for a second, and delays what follows.
            #expect(try await client.post("/api/v1/events/batch", Self.batch(10), headers).status == .accepted)
            let third = try await client.send("b", key: key)
            #expect(third.status == .tooManyRequests && third.headers[.retryAfter] == "3", "\(third.headers)")
            service.time.advance(by: .seconds(3))
            #expect(try await client.send("c", key: key).status == .accepted)
            // Questions have no events.
            #expect(try await client.get("/api/v1/events", headers).status == .ok)
        }
        #expect(try service.publisher.events.count == 13)
    }

    @Test func `a key with rates of its own leaves the rest of the project's to others`() async throws {
        let (service, key) = try await Self.service(ProjectRates(requestsPerSecond: 3))
        let limited = try await service.makeKey(.write) { $0.rates = ProjectRates(requestsPerSecond: 1, eventsPerSecond: 2) }
        try await service.run { client async throws in
            let first = try await client.post("/api/v1/events/batch", Self.batch(2), .bearer(limited))
            #expect(first.status == .accepted && first.headers[.rateLimit] == #""requests";r=0;t=1"#, "\(first.text)")
            let second = try await client.send("a", key: limited)
            #expect(second.status == .tooManyRequests && second.text.contains("This key may send 1 requests"), "\(second.text)")
            #expect(second.headers[.rateLimitPolicy] == #""requests";q=1;w=1"#)
            for id in ["a", "b"] { #expect(try await client.send(id, key: key).status == .accepted) }
            let last = try await client.send("c", key: key)
            #expect(last.status == .tooManyRequests && last.text.contains("The project"), "\(last.text)")
            service.time.advance(by: .milliseconds(500))
            let events = try await client.send("d", key: limited)
            #expect(events.status == .tooManyRequests && events.headers[.rateLimitPolicy] == #""requests";q=1;w=1"#)
            service.time.advance(by: .milliseconds(500))
            #expect(try await client.post("/api/v1/events/batch", Self.batch(2), .bearer(limited)).status == .accepted)
            #expect(try await client.get("/api/v1/events", .bearer(key)).status == .ok)
        }
        #expect(try service.publisher.events.count == 6)
    }

    @Test func `a large body counts as many events`() async throws {
        let (service, key) = try await Self.service(ProjectRates(eventsPerSecond: 3))
        let space = String(repeating: " ", count: 2 * RateLimiter.bytesPerEvent)
        try await service.run { client async throws in
            #expect(try await client.post("/api/v1/events", Sample.event("a") + space, .bearer(key)).status == .accepted)
            #expect(try await client.send("b", key: key).status == .tooManyRequests)
        }
    }

    @Test func `an archived project accepts no events, and answers`() async throws {
        let (service, key) = try await Self.service(ProjectRates(), archivedAt: TestService.now)
        try await service.run { client async throws in
            for path in ["/api/v1/events", "/api/v1/events/batch", "/ingest"] {
                let refused = try await client.post(path, "no JSON", .bearer(key))
                #expect(refused.status == .forbidden && refused.code == "project_archived" && refused.isProblem, "\(refused.text)")
                #expect(refused.headers[.connection] == "close")
            }
            #expect(try await client.get("/api/v1/events", .bearer(key)).status == .ok)
            #expect(try await client.get("/api/v1/erasures", .bearer(key)).status == .ok)
            service.projects.take([ProjectRecord(project: "shop")])
            #expect(try await client.send("a", key: key).status == .accepted)
        }
    }

    @Test(arguments: [(Duration.zero, 1), (.milliseconds(1), 1), (.seconds(1), 1), (.milliseconds(1_001), 2), (.seconds(3_600), 3_600)])
    func `times to wait are whole seconds, rounded up`(duration: Duration, seconds: Int) {
        #expect(RateHeaders.seconds(duration) == seconds)
        let fields = RateHeaders.fields(Rate(limit: 7, remaining: -3, retryAfter: duration), of: .events)
        #expect(fields[.rateLimit] == "\"events\";r=0;t=\(seconds)")
    }
}
