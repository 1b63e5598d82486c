import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// The audit log over HTTP, and what requests write to it.
struct AuditRouteTests {
    private static let path = "/api/v1/audit"
    private static let token = HTTPFields.bearer(TestService.adminToken)

    private static func id(_ email: String) -> String { Account.id(of: EmailAddress(email)!) }

    private static func actions(_ response: TestResponse) -> [String] {
        response.list("entries").compactMap { $0["action"] as? String }
    }

    @Test func `a change is told with who, what and where`() async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        let key = try #require(try await APIKey(service.makeKey(.admin)))
        try await service.run { client async throws in
            let made = try await client.send(.post, "/api/v1/projects/shop/keys", #"{"scope":"read","name":"web"}"#, owner)
            let id = try #require(made.json["id"] as? String)
            #expect(try await client.send(.delete, "/api/v1/projects/shop/keys/\(id)", nil, .bearer(key.text)).status == .ok)
            #expect(try await client.send(.patch, "/api/v1/projects/shop", #"{"title":"Shop"}"#, Self.token).status == .ok)
            let erased = try await client.send(.post, "/api/v1/erasures?userId=secret-user&type=a&type=b", nil, owner)
            #expect(erased.status == .accepted, "\(erased.text)")
            #expect(try await client.send(.delete, "/api/v1/users/secret-user", nil, .bearer(key.text)).status == .accepted)

            let log = try await client.get("\(Self.path)?limit=5", owner)
            #expect(log.status == .ok && log.headers[.cacheControl] == "no-store")
            #expect(Self.actions(log) == ["erasure.create", "erasure.create", "project.change", "key.revoke", "key.create"], "\(log.text)")
            let entries = Array(log.list("entries").reversed())
            let account = "account \(Self.id("ann@shop.example"))"
            let actors = [account, key.digest.keyID, "administrator", account, key.digest.keyID]
            #expect(entries.map { $0["actor"] as? String } == actors)
            #expect(entries.allSatisfy { $0["project"] as? String == "shop" && $0["time"] as? String == "2026-03-01T12:00:00.000Z" })
            #expect(entries.prefix(2).allSatisfy { $0["target"] as? String == id })
            #expect(entries[3]["details"] as? String == "type: 2; userId: 1" && entries[4]["details"] as? String == "userId: 1")
            let text = try #require(made.json["key"] as? String)
            #expect(![text, key.text, "secret-user", TestService.adminToken].contains { log.text.contains($0) })
        }
    }

    @Test func `an entry has the client's address`() async throws {
        var service = TestService.keyed()
        service.settings.trustedProxies = 1
        let owner = try await service.session(.owner)
        try await service.run { client async throws in
            let fields = owner.with(.xForwardedFor, "203.0.113.9")
            #expect(try await client.send(.patch, "/api/v1/projects/shop", #"{"title":"Shop"}"#, fields).status == .ok)
            #expect(try await client.send(.post, "/api/v1/erasures?userId=a", nil, fields).status == .accepted)
            let entries = try await client.get("\(Self.path)?limit=2", owner).list("entries")
            #expect(entries.map { $0["address"] as? String } == ["203.0.113.9", "203.0.113.9"])
            #expect(try await client.send(.patch, "/api/v1/projects/shop", #"{"title":"Again"}"#, owner).status == .ok)
            let last = try await client.get("\(Self.path)?limit=1", owner).list("entries").first
            #expect(last?["address"] is NSNull, "it is not known")
        }
    }

    @Test func `no change is made if it cannot be told`() async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/projects", owner).status == .ok)
            service.store.faults.down([.record])
            let response = try await client.send(.post, "/api/v1/erasures?userId=a", nil, owner)
            #expect(response.status == .serviceUnavailable && response.code == "store_unavailable", "\(response.text)")
        }
        #expect(try await service.store.erasures(of: "shop").isEmpty)
    }

    @Test func `owners and keys see their projects, and the administrators of the instance everything`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount("root@shop.example", isAdministrator: true)
        try await service.makeAccount("two@shop.example", roles: ["shop": .owner, "bank": .owner, "other": .viewer])
        let owner = try await service.session(.owner)
        let (root, two) = (try await service.session(of: "root@shop.example"), try await service.session(of: "two@shop.example"))
        let key = try await service.makeKey(.admin, of: "bank")
        try await service.run { client async throws in
            for project in ["shop", "bank"] {
                let changed = try await client.send(.patch, "/api/v1/projects/\(project)", #"{"title":"\#(project) title"}"#, root)
                #expect(changed.status == .ok)
            }
            func projects(_ query: String, _ fields: HTTPFields) async throws -> Set<String?> {
                let response = try await client.get("\(Self.path)\(query)", fields)
                #expect(response.status == .ok, "\(response.text)")
                return Set(response.list("entries").map { $0["project"] as? String })
            }
            for query in ["", "?project=shop"] { #expect(try await projects(query, owner) == ["shop"]) }
            #expect(try await projects("", .bearer(key)) == ["bank"])
            #expect(try await projects("?project=bank", two) == ["bank"])
            for fields in [root, Self.token] {
                #expect(try await projects("", fields) == [nil, "shop", "bank", "other"])
                #expect(try await projects("?project=shop", fields) == ["shop"])
            }
            let several = try await client.get(Self.path, two)
            #expect(several.status == .badRequest && several.code == "project_required" && several.isProblem)
            let foreign: [(String, HTTPFields)] = [
                ("bank", owner), ("none", owner), ("Bank", owner), ("shop", .bearer(key)), ("other", two), ("none", root),
                ("none", Self.token),
            ]
            for (project, fields) in foreign {
                let response = try await client.get("\(Self.path)?project=\(project)", fields)
                #expect(response.status == .notFound && response.code == "project_not_found", "\(project) \(response.text)")
            }
            let admins = try await client.get(Self.path, root)
            #expect(Self.actions(admins).contains("account.create") && Self.actions(admins).contains("sign-in"))
            #expect(!admins.text.contains(TestService.password) && !admins.text.contains("evs_"))
        }
    }

    @Test func `the log is read in pages, newest first`() async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        for number in 1...3 {
            try await service.audit.record(.keyCreate, project: "shop", target: "\(number)", by: .command, from: nil)
        }
        try await service.run { client async throws in
            let first = try await client.get("\(Self.path)?limit=2", owner)
            #expect(first.list("entries").map { $0["target"] as? String } == ["3", "2"])
            let cursor = try #require(first.json["cursor"] as? String)
            let second = try await client.get("\(Self.path)?limit=100&cursor=\(cursor)", owner)
            #expect(second.list("entries").map { $0["action"] as? String } == ["key.create", "member.set"], "\(second.text)")
            #expect(second.json["cursor"] is NSNull)
            for query in ["limit=0", "limit=1001", "cursor=A", "project=a&project=b"] {
                let refused = try await client.get("\(Self.path)?\(query)", owner)
                #expect(refused.status == .badRequest && refused.code == "invalid_parameter", "\(query) \(refused.text)")
            }
            #expect(try await client.get("\(Self.path)?actor=x", owner).code == "unknown_parameter")
        }
    }
}
