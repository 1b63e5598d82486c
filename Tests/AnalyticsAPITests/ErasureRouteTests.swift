import AnalyticsAPI
import AnalyticsCore
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

private struct ScopedAccess: Authenticator {
    var scopes: Set<Scope>
    var project: ProjectID = "default"

    func asksForKey() async throws -> Bool { false }

    func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal {
        Principal(project: project, scopes: scopes)
    }
}

extension TestClientProtocol {
    fileprivate func delete(_ uri: String) async throws -> TestResponse {
        try await executeRequest(uri: uri, method: .delete, headers: [:], body: nil)
    }
}

struct ErasureRouteTests {
    @Test func `a user is erased, and how far it is done can be asked`() async throws {
        let service = TestService()
        try await service.run { client in
            let accepted = try await client.delete("/api/v1/users/ann%2F%C3%A9")
            #expect(accepted.status == .accepted && accepted.json["state"] as? String == "requested")
            let id = try #require(accepted.json["id"] as? String)
            #expect(accepted.headers[.location] == "/api/v1/erasures/\(id)")
            let again = try await client.delete("/api/v1/users/ann%2F%C3%A9")
            #expect(again.status == .accepted && again.json["id"] as? String == id)
            let shown = try await client.get("/api/v1/erasures/\(id)")
            #expect(shown.status == .ok && shown.json["requestedAt"] as? String == "2026-03-01T12:00:00.000Z", "\(shown.text)")
            let selection = shown.json["selection"] as? [String: Any]
            #expect(selection?["userId"] as? [String] == ["ann/\u{E9}"] && shown.json["deletedEvents"] as? Int == 0)
            let list = try await client.get("/api/v1/erasures?limit=5")
            #expect((list.json["erasures"] as? [[String: Any]])?.map { $0["id"] as? String } == [id])
            let unknown = try await client.get("/api/v1/erasures/unknown")
            #expect(unknown.status == .notFound && unknown.code == "erasure_not_found" && unknown.isProblem)
        }
        let announced = try await service.store.newestRecords(of: ["default"]).first?.erasures
        #expect(announced == 2)
    }

    @Test func `conditions are those of listings, and all must hold`() async throws {
        try await TestService().run { client in
            let uri = "/api/v1/erasures?type=a&type=b&anonymousId=d&data.k.l=5&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
            let accepted = try await client.post(uri, "")
            #expect(accepted.status == .accepted, "\(accepted.text)")
            let selection = accepted.json["selection"] as? [String: Any]
            #expect(selection?["type"] as? [String] == ["a", "b"] && selection?["data.k.l"] as? [String] == ["5"])
            #expect(selection?["from"] as? String == "2026-01-01T00:00:00.000Z" && selection?["anonymousId"] as? [String] == ["d"])
            let some = try await client.delete("/api/v1/users/ann?type=a")
            #expect((some.json["selection"] as? [String: Any])?["type"] as? [String] == ["a"])
        }
    }

    @Test(arguments: [
        ("/api/v1/erasures", "invalid_parameter"), ("/api/v1/erasures?user=a", "unknown_parameter"),
        ("/api/v1/erasures?userId=", "invalid_parameter"),
        ("/api/v1/erasures?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "invalid_parameter"),
        ("/api/v1/erasures?data.$x=1", "invalid_parameter"),
    ])
    func `what names nothing, or nothing that is known, is refused`(uri: String, code: String) async throws {
        let service = TestService()
        try await service.run { client in
            let refused = try await client.post(uri, "")
            #expect(refused.status == .badRequest && refused.code == code, "\(refused.text)")
        }
        #expect(try await service.store.erasures(of: "default").isEmpty)
    }

    /// A browser sends it without asking first: it has no body and no type.
    @Test func `a page of another site erases nothing`() async throws {
        let service = TestService()
        try await service.run { client in
            for origin in ["https://example.com", "null", "http://localhost.example.com"] {
                let refused = try await client.post("/api/v1/erasures?userId=a", "", [.origin: origin])
                #expect(refused.status == .forbidden && refused.code == "origin_not_allowed", "\(refused.text)")
            }
            #expect(try await client.post("/api/v1/erasures?userId=a", "").status == .accepted)
        }
    }

    @Test func `only administrators erase, and only in their project`() async throws {
        var service = TestService()
        service.authenticator = ScopedAccess(scopes: [.read, .write])
        try await service.run { client in
            let refused = [
                try await client.delete("/api/v1/users/ann"), try await client.post("/api/v1/erasures?userId=a", ""),
                try await client.get("/api/v1/erasures"), try await client.get("/api/v1/erasures/x"),
            ]
            #expect(refused.allSatisfy { $0.status == .forbidden && $0.code == "insufficient_scope" })
        }
        service.authenticator = ScopedAccess(scopes: [.admin])
        try await service.run { client in
            let accepted = try await client.delete("/api/v1/users/ann")
            #expect(accepted.status == .accepted)
        }
        let id = try #require(try await service.store.erasures(of: "default").first?.id)
        service.authenticator = ScopedAccess(scopes: [.admin], project: "other")
        try await service.run { client in
            let other = try await client.get("/api/v1/erasures/\(id)")
            let list = try await client.get("/api/v1/erasures")
            #expect(other.status == .notFound && (list.json["erasures"] as? [Any])?.isEmpty == true)
        }
    }
}
