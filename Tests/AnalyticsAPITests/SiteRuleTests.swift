import AnalyticsCore
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI

/// Pages of other sites, in a browser that reaches the service.
struct SiteRuleTests {
    private static let rule = made(with: APISettings())

    private static func made(with settings: APISettings) -> SiteRule {
        SiteRule(allowed: ["stats.example.com"], own: ["Box.lan"], transport: TransportRule(settings))
    }

    private func code(
        host: String?, origin: String? = nil, _ rule: SiteRule = rule, _ more: HTTPFields = [:], hasSession: Bool = false
    ) -> String? {
        var fields = more
        fields[.origin] = origin
        let head = HTTPRequest(method: .get, scheme: "http", authority: host, path: "/", headerFields: fields)
        let request = Request(head: head, body: RequestBody(buffer: .init()))
        do throws(Problem) {
            if hasSession { try rule.checkSession(of: request) } else { try rule.check(request) }
            return nil
        } catch {
            return error.code
        }
    }

    @Test(arguments: [
        "localhost", "LocalHost:4000", "localhost.", "localhost.:4000", "app.localhost:4000", "127.0.0.1:4000", "127.0.0.1", "10.1.2.3:80",
        "[::1]:4000",
        "[fe80::1]", "stats.example.com", "Stats.Example.Com:8080", "box.lan:4000", "BOX.LAN",
    ])
    func `addresses, loopback and the service's names are known`(host: String) {
        #expect(code(host: host) == nil)
    }

    @Test(arguments: [
        "evil.example", "evil.example:4000", "localhost.evil.example", "xlocalhost", "stats.example.com.evil.example",
        "x.stats.example.com", "",
        "127.0.0.1.evil.example", "127.1", "0x7f.0.0.1", "[::1].evil.example", "[evil.example]", "box", "loca\u{212A}host",
        "localhost@evil.example",
    ])
    func `another name is refused`(host: String) {
        #expect(code(host: host) == "host_not_allowed")
    }

    @Test func `a page without TLS is none of the service for a session, except on loopback`() {
        for (host, isOwn) in [("box.lan", false), ("10.1.2.3", false), ("localhost:4000", true), ("127.0.0.1", true)] {
            #expect((code(host: host, origin: "http://\(host)", hasSession: true) == nil) == isOwn, "\(host)")
            #expect(code(host: host, origin: "https://\(host)", hasSession: true) == nil)
        }
        #expect(code(host: "box.lan", origin: "http://box.lan") == nil, "without a session")
    }

    @Test func `a request without a Host is of no browser`() {
        #expect(code(host: nil) == nil)
    }

    @Test(arguments: ["http://localhost:4000", "https://localhost:4000", "https://stats.example.com", "http://stats.example.com:81"])
    func `the service's own pages are let in, and those behind the proxy`(origin: String) {
        #expect(code(host: "localhost:4000", origin: origin) == nil)
    }

    @Test(arguments: [
        "null", "", "https://evil.example", "http://localhost", "http://localhost:3000", "http://127.0.0.1:4000", "localhost:4000",
        "ftp://localhost:4000",
        "http://box.lan:4000", "https://stats.example.com.evil.example", "http://localhost:4000, http://evil.example",
        "http://localhost:4000.evil.example",
    ])
    func `pages of other sites are refused`(origin: String) {
        #expect(code(host: "localhost:4000", origin: origin) == "origin_not_allowed")
    }

    @Test(arguments: [("https", true), ("HTTPS", true), ("http, https", true), ("http", false), ("xhttps", false), (nil, false)])
    func `a page without TLS is of another site if the service is called with TLS, as a trusted proxy says`(
        scheme: String?, isForeign: Bool
    ) {
        var fields = HTTPFields()
        fields[.xForwardedProto] = scheme
        let (trusting, other) = (Self.made(with: APISettings(trustedProxies: 1)), Self.rule)
        for host in ["stats.example.com", "10.1.2.3:4000"] {
            #expect((code(host: host, origin: "http://\(host)", trusting, fields) != nil) == isForeign, "\(host)")
            #expect(code(host: host, origin: "https://\(host)", trusting, fields) == nil)
            #expect(code(host: host, origin: "http://\(host)", other, fields) == nil, "anybody can send the header")
        }
        #expect((code(host: "box.lan", origin: "http://stats.example.com", trusting, fields) != nil) == isForeign)
    }

    @Test func `with a public address of https, pages without TLS are of another site, except on loopback`() {
        var settings = APISettings()
        settings.publicURL = SecureURL("https://stats.example.com")
        #expect(code(host: "stats.example.com", origin: "http://stats.example.com", Self.made(with: settings)) == "origin_not_allowed")
        #expect(code(host: "stats.example.com", origin: "https://stats.example.com", Self.made(with: settings)) == nil)
        for host in ["localhost:4000", "127.0.0.1:4000", "[::1]:4000", "app.localhost"] {
            #expect(code(host: host, origin: "http://\(host)", Self.made(with: settings)) == nil, "\(host)")
        }
        #expect(code(host: "localhost:4000", origin: "http://localhost:3000", Self.made(with: settings)) == "origin_not_allowed")
    }

    @Test func `the address that the service listens on and the machine's name are its own`() throws {
        let own = SiteRule(APISettings(host: "bound.lan")).own
        let machine = try String(contentsOfFile: "/proc/sys/kernel/hostname", encoding: .utf8).split(separator: "\n").first.map(String.init)
        #expect(own == ["bound.lan"] + [machine].compactMap(\.self))
    }

    // MARK: On the routes

    private static let guarded = [
        "/api/v1/events", "/api/v1/events/a", "/api/v1/events/counts", "/api/v1/erasures", "/api/v1/live", "/metrics",
    ]

    private static func ask(_ path: String, _ host: String, _ more: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\(more)\r\n"
    }

    @Test(arguments: guarded) func `nothing of events is told under another name, nor to another site`(path: String) async throws {
        try await TestService().run(.live) { client in
            let connection = RawConnection(port: client.port!)
            let rebound = try await connection.exchange([Self.ask(path, "evil.example:\(client.port!)")])
            #expect(rebound.status == 403 && rebound.text.contains("host_not_allowed"), "\(rebound.text)")
            let foreign = try await connection.exchange([Self.ask(path, "localhost", "Origin: https://evil.example\r\n")])
            #expect(foreign.status == 403 && foreign.text.contains("origin_not_allowed"), "\(foreign.text)")
        }
    }

    @Test(arguments: ["/health/live", "/health/ready", "/openapi.json", "/docs"])
    func `what is for everybody answers under any name`(path: String) async throws {
        try await TestService().run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange([Self.ask(path, "lb.example")])
            #expect(answer.status == 200)
        }
    }

    @Test func `a processor's metrics have the same rule`() async throws {
        let services = APIServices(readiness: { Readiness([]) }, metrics: { [] })
        let settings = APISettings(allowedHosts: ["processor"])
        try await makeApplication(services: services, settings: settings, logger: TestService.quiet).test(.live) { client in
            let connection = RawConnection(port: client.port!)
            var statuses: [Int?] = []
            statuses.append(try await connection.exchange([Self.ask("/metrics", "processor:4000")]).status)
            statuses.append(try await connection.exchange([Self.ask("/metrics", "172.18.0.5:4000")]).status)
            statuses.append(try await connection.exchange([Self.ask("/metrics", "evil.example")]).status)
            #expect(statuses == [200, 200, 403])
        }
    }

    /// As `fetch` with a blob without a type sends it: without asking first.
    @Test(arguments: ["", "Content-Type: text/plain\r\n", "Content-Type: application/json\r\n"])
    func `a page of another site writes nothing`(type: String) async throws {
        let service = TestService()
        let event = Sample.event("a")
        try await service.run(.live) { client in
            func post(_ host: String, _ origin: String) async throws -> Int? {
                let head = "POST /api/v1/events HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\(origin)\(type)"
                let text = head + "Content-Length: \(event.utf8.count)\r\n\r\n" + event
                return try await RawConnection(port: client.port!).exchange([text]).status
            }
            for origin in ["https://evil.example", "null", "http://localhost:3000"] {
                let status = try await post("localhost:4000", "Origin: \(origin)\r\n")
                #expect(status == 403)
            }
            let rebound = try await post("evil.example", "Origin: http://evil.example\r\n")
            #expect(rebound == 403)
            #expect(try service.publisher.events.isEmpty)
            let taken = type.contains("plain") ? 415 : 202
            let own = try await post("localhost:4000", "Origin: http://localhost:4000\r\n")
            let noBrowser = try await post("localhost:4000", "")
            #expect(own == taken && noBrowser == taken)
        }
    }

    private struct Keyed: Authenticator {
        func asksForKey() async throws -> Bool { true }

        func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal {
            Principal(project: "default", scopes: Set(Scope.allCases))
        }
    }

    @Test func `where a key is asked for, any name will do, but administrators' routes are for no other site`() async throws {
        var service = TestService()
        service.authenticator = Keyed()
        try await service.run(.live) { client in
            let connection = RawConnection(port: client.port!)
            let foreign = "Origin: https://app.example\r\n"
            let listing = try await connection.exchange([Self.ask("/api/v1/events", "evil.example", foreign)])
            let erasures = try await connection.exchange([Self.ask("/api/v1/erasures", "api.example", foreign)])
            #expect(listing.status == 200 && erasures.status == 403)
        }
    }
}
