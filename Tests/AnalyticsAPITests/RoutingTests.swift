import AnalyticsCore
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

@Suite struct RoutingTests {
    @Test(arguments: [
        "/", "/api", "/api/v1", "/api/v2/events", "/api/v1/events/a/b", "/favicon.ico", "/API/v1/events", "/%2e%2e/x", "//metrics",
        "/metrics/",
        "/metrics//", "//health/live", "/api//v1/events", "/api/v1/events/", "/api/v1/events//a", "/api/v1/events/a/", "/%6detrics",
        "/./metrics",
    ])
    func `an unknown path is answered 404`(uri: String) async throws {
        try await TestService().run { client in
            for method in [HTTPRequest.Method.get, .post, .delete, .options] {
                let response = try await client.executeRequest(uri: uri, method: method, headers: [:], body: nil)
                #expect(response.status == .notFound && response.isProblem && response.code == "not_found")
            }
        }
    }

    @Test(arguments: [
        ("/api/v1/events", "DELETE", "POST, GET, HEAD, OPTIONS"), ("/api/v1/events/batch", "GET", "POST, OPTIONS"),
        ("/api/v1/events/counts", "POST", "GET, HEAD, OPTIONS"), ("/api/v1/events/some-id", "PUT", "GET, HEAD, OPTIONS"),
        ("/health/live", "POST", "GET, HEAD, OPTIONS"), ("/metrics", "PROPFIND", "GET, HEAD, OPTIONS"),
    ])
    func `another method at a known path is answered 405 with what is allowed`(uri: String, method: String, allow: String) async throws {
        try await TestService().run { client in
            let response = try await client.executeRequest(uri: uri, method: .init(method)!, headers: [:], body: nil)
            #expect(response.status == .methodNotAllowed && response.isProblem && response.code == "method_not_allowed")
            #expect(response.headers[.allow] == allow)
            let options = try await client.executeRequest(uri: uri, method: .options, headers: [:], body: nil)
            #expect(options.status == .noContent && options.headers[.allow] == allow)
        }
    }

    @Test(arguments: ["/api/v1/events", "/health/live", "/nothing", "/api/v1/events/nothing"])
    func `HEAD is GET without the body`(uri: String) async throws {
        try await TestService().run(.live) { client in
            let get = try await client.get(uri)
            let head = try await client.executeRequest(uri: uri, method: .head, headers: [:], body: nil)
            #expect(head.status == get.status)
            #expect(head.headers[.contentLength] == get.headers[.contentLength] && head.headers[.contentType] == get.headers[.contentType])
            #expect(head.body.readableBytes == 0)
            #expect(try await client.get("/health/live").status == .ok)
        }
    }

    // MARK: Health and metrics

    @Test func `a service with its dependencies is ready`() async throws {
        try await TestService().run { client in
            #expect(try await client.get("/health/live").text == #"{"status":"live"}"#)
            let ready = try await client.get("/health/ready")
            #expect(ready.status == .ok && ready.json["status"] as? String == "ready")
            #expect(ready.text.contains(#""broker":{"status":"up","required":true}"#))
        }
    }

    @Test func `a service without its store is not ready, and says so`() async throws {
        var service = TestService()
        service.readiness = Readiness([.init(name: "broker"), .init(name: "store", health: .down("db7.internal:27017 refused"))])
        try await service.run { client in
            let response = try await client.get("/health/ready")
            #expect(response.status == .serviceUnavailable && response.isProblem && response.code == "not_ready")
            #expect(response.text.contains(#""store":{"status":"down","required":true}"#))
            #expect(response.text.contains("Down: store.") && !response.text.contains("db7"), "who asks may be anybody")
            #expect(response.text.contains(#""broker":{"status":"up","required":true}"#))
            #expect(try await client.get("/health/live").status == .ok)
        }
    }

    @Test func `a service without its cache is ready`() async throws {
        var service = TestService()
        service.readiness = Readiness([.init(name: "cache", health: .down("refused"), isRequired: false)])
        try await service.run { client in
            let response = try await client.get("/health/ready")
            #expect(response.status == .ok)
            #expect(response.text.contains(#""cache":{"status":"down","required":false}"#))
        }
    }

    @Test func `metrics are served as text, and not when they are off`() async throws {
        var service = TestService()
        try await service.run { client in
            let response = try await client.get("/metrics")
            #expect(response.status == .ok && response.text == "# nothing\n")
            #expect(response.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
        }
        service.metrics = nil
        try await service.run { client in
            let response = try await client.get("/metrics")
            #expect(response.status == .notFound)
        }
    }

    @Test func `once a key is needed, metrics name projects to the administrator of the instance alone`() async throws {
        let process = "# HELP a b\nb{type=\",project=\\\"x\"} 3\nb{subproject=\"y\"} 4\nc 5\n"
        let text = "a{project=\"shop\",type=\"t\"} 1\n\(process)a{method=\"x\",project=\"bank\"} 2\n"
        var made = TestService()
        made.metrics = { Array(text.utf8) }
        made.authenticator = made.keyAccess()
        let service = made
        try await service.run { client in
            #expect(try await client.get("/metrics").text == text)
            let key = try await service.makeKey(.admin)
            service.time.advance(by: .seconds(1))
            for headers in [[:], .bearer(key), .bearer("wrong"), .bearer(APIKey(project: "shop", scope: .admin).text)] as [HTTPFields] {
                let response = try await client.get("/metrics", headers)
                #expect(response.status == .ok && response.text == process, "\(response.text)")
            }
            #expect(try await client.get("/metrics", .bearer(TestService.adminToken)).text == text)
        }
        let operations = makeApplication(
            services: service.services, part: .operations, settings: service.settings, logger: TestService.quiet)
        try await operations.test(.router) { client async throws in
            #expect(try await client.get("/metrics").text == text)
        }
        let processor = APIServices(authenticator: service.keyAccess(), readiness: { Readiness([]) }, metrics: service.metrics)
        try await makeApplication(services: processor, settings: service.settings, logger: TestService.quiet).test(.router) {
            client async throws in
            #expect(try await client.get("/metrics").text == process)
            #expect(try await client.get("/metrics", .bearer(TestService.adminToken)).text == text)
        }
    }

    @Test func `a processor serves health and metrics only`() async throws {
        let services = APIServices(readiness: { Readiness([]) }, metrics: nil)
        let application = makeApplication(services: services, settings: APISettings(), logger: TestService.quiet)
        try await application.test(.router) { client in
            let ready = try await client.get("/health/ready")
            let event = try await client.post("/api/v1/events", Sample.event("a"))
            #expect(ready.status == .ok && event.status == .notFound)
        }
    }

    @Test func `with a listener of their own, health and metrics are served there alone`() async throws {
        let service = TestService()
        func statuses(_ part: APIPart) async throws -> [Int] {
            let application = makeApplication(services: service.services, part: part, settings: APISettings(), logger: TestService.quiet)
            return try await application.test(.router) { client in
                var statuses: [Int] = []
                for path in ["/health/live", "/health/ready", "/metrics", "/api/v1/events", "/docs"] {
                    statuses.append(try await client.get(path).status.code)
                }
                return statuses
            }
        }
        #expect(try await statuses(.all) == [200, 200, 200, 200, 200])
        #expect(try await statuses(.operations) == [200, 200, 200, 404, 404])
        #expect(try await statuses(.events) == [404, 404, 404, 200, 200])
    }

    // MARK: The document

    @Test func `every route is in the document, and the other way round`() async throws {
        let service = TestService()
        let routes = RouteTable(services: service.services, settings: service.settings).routes
        try await service.run { client in
            let response = try await client.get("/openapi.json")
            #expect(response.status == .ok && response.json["openapi"] as? String == "3.1.0")
            let paths = try #require(response.json["paths"] as? [String: [String: Any]])
            let documented = paths.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } }
            #expect(documented.sorted() == routes.map { "\($0.method.rawValue) \($0.path)" }.sorted())
        }
    }

    @Test func `every code is in the document with its status, and the other way round`() async throws {
        try await TestService().run { client in
            let components = try await client.get("/openapi.json").json["components"] as? [String: Any]
            let schemas = try #require(components?["schemas"] as? [String: [String: Any]])
            #expect((schemas["ProblemCode"]?["enum"] as? [String])?.sorted() == ProblemCode.allCases.map(\.rawValue).sorted())
            #expect((schemas["RejectionCode"]?["enum"] as? [String])?.sorted() == RejectionCode.allCases.map(\.rawValue).sorted())
            let problems = try #require(schemas["Problem"]?["x-problems"] as? [String: [String: Any]])
            #expect(problems.count == ProblemCode.allCases.count)
            for code in ProblemCode.allCases {
                #expect(problems[code.rawValue]?["status"] as? Int == code.status.code)
                #expect(problems[code.rawValue]?["title"] as? String == code.title)
            }
        }
    }

    @Test func `the document names the version, and there is a page`() async throws {
        var service = TestService()
        service.settings.serverVersion = "1.2.3"
        try await service.run { client in
            let info = try await client.get("/openapi.json").json["info"] as? [String: Any]
            #expect(info?["version"] as? String == "1.2.3")
            let page = try await client.get("/docs")
            #expect(page.status == .ok && page.headers[.contentType] == "text/html; charset=utf-8")
            #expect(page.text.contains("fetch(\"openapi.json\")") && !page.text.contains("http"))
        }
    }
}
