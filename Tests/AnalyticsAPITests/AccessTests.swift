import AnalyticsAPI
import AnalyticsCore
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import TestSupport
import Testing

/// As a key would: the project and the scopes are the key's, whatever the request says.
private struct FixedAccess: Authenticator {
    var project: ProjectID
    var scopes: Set<Scope> = Set(Scope.allCases)

    func asksForKey() async throws -> Bool { false }

    func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal {
        Principal(project: project, scopes: scopes)
    }
}

struct AccessTests {
    private static let paths = ["/api/v1/events", "/api/v1/events/counts", "/api/v1/events/a"]

    @Test(arguments: paths) func `what may only be written may not be asked`(path: String) async throws {
        var service = TestService()
        service.authenticator = FixedAccess(project: "shop", scopes: [.write])
        try await service.run { client in
            let accepted = try await client.post("/api/v1/events", Sample.event("a"))
            let asked = try await client.get(path)
            #expect(accepted.status == .accepted)
            #expect(asked.status == .forbidden && asked.code == "insufficient_scope" && asked.isProblem)
            let head = try await client.executeRequest(uri: path, method: .head, headers: [:], body: nil)
            #expect(head.status == .forbidden)
        }
    }

    @Test(arguments: ["/api/v1/events", "/api/v1/events/batch"])
    func `who may not write is told so before the body is read`(path: String) async throws {
        var service = TestService()
        service.authenticator = FixedAccess(project: "shop", scopes: [.read])
        service.settings.maximumBodyBytes = 4
        try await service.run { client in
            let refused = try await client.post(path, "more than four bytes, and no JSON")
            #expect(refused.status == .forbidden && refused.code == "insufficient_scope")
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `the project is the principal's, and no member of an event changes it`() async throws {
        var service = TestService()
        service.authenticator = FixedAccess(project: "shop")
        try await service.run { client in
            let accepted = try await client.post("/api/v1/events", Sample.event("a"))
            let other = try await client.post("/api/v1/events?project=bank", Sample.event("b", #","project":"bank""#))
            #expect(accepted.status == .accepted && other.status == .badRequest)
        }
        #expect(try service.publisher.events.map(\.project) == ["shop"])
        service.authenticator = FixedAccess(project: "bank")
        try await service.run { client in
            let event = try await client.get("/api/v1/events/a")
            #expect(event.status == .notFound)
        }
    }

    @Test(arguments: ["/health/live", "/health/ready", "/openapi.json", "/docs", "/metrics"])
    func `what everybody may see asks for no scope`(path: String) async throws {
        var service = TestService()
        service.authenticator = FixedAccess(project: "shop", scopes: [])
        try await service.run { client in
            let response = try await client.get(path)
            #expect(response.status == .ok)
        }
    }
}
