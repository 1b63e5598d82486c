import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// The members of a project over HTTP.
struct MemberRouteTests {
    private static let path = "/api/v1/projects/shop/members"

    private static func id(_ email: String) -> String { Account.id(of: EmailAddress(email)!) }

    private static func member(_ email: String, _ role: Role) -> String {
        #"{"id":"\#(id(email))","email":"\#(email)","name":"Ann","role":"\#(role.rawValue)"}"#
    }

    private static let changes: [(HTTPRequest.Method, String?)] = [(.delete, nil), (.patch, #"{"role":"owner"}"#)]

    private static func isRefused(_ response: TestResponse, _ status: HTTPResponse.Status, _ code: String) -> Bool {
        response.status == status && response.code == code && response.isProblem
    }

    @Test func `an owner adds, changes and removes members`() async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        try await service.makeAccount("bob@shop.example", roles: ["bank": .owner])
        let bob = Self.id("bob@shop.example")
        try await service.run { client async throws in
            let added = try await client.send(.post, Self.path, #"{"email":" Bob@shop.example ","role":"viewer"}"#, owner)
            #expect(added.status == .created && added.text == Self.member("bob@shop.example", .viewer), "\(added.text)")
            #expect(added.headers[.location] == "\(Self.path)/\(bob)" && added.headers[.cacheControl] == "no-store")
            let listed = try await client.get(Self.path, owner)
            let members = [Self.member("ann@shop.example", .owner), Self.member("bob@shop.example", .viewer)].joined(separator: ",")
            #expect(listed.status == .ok && listed.text == "{\"members\":[\(members)]}", "\(listed.text)")
            let changed = try await client.send(.patch, "\(Self.path)/\(bob)", #"{"role":"editor"}"#, owner)
            #expect(changed.status == .ok && changed.text == Self.member("bob@shop.example", .editor), "\(changed.text)")
            let removed = try await client.send(.delete, "\(Self.path)/\(bob)", nil, owner)
            #expect(removed.status == .noContent && removed.headers[.cacheControl] == "no-store")
            for (method, body) in Self.changes {
                let response = try await client.send(method, "\(Self.path)/\(bob)", body, owner)
                #expect(Self.isRefused(response, .notFound, "member_not_found"), "\(response.text)")
            }
            let role = try await service.accounts.account(bob)?.roles
            #expect(role == ["bank": .owner])
        }
    }

    @Test func `a key of scope admin and the administrator's token manage members, too`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount("bob@shop.example")
        let key = try await service.makeKey(.admin)
        try await service.run { client async throws in
            for (fields, role) in [(HTTPFields.bearer(key), Role.viewer), (.bearer(TestService.adminToken), .owner)] {
                let added = try await client.send(
                    .post, Self.path, #"{"email":"bob@shop.example","role":"\#(role.rawValue)"}"#, fields)
                #expect(added.status == .created && added.text == Self.member("bob@shop.example", role))
                #expect(try await client.get(Self.path, fields).list("members").count == 1)
            }
        }
    }

    @Test(arguments: [
        ("{}", "'email'"), (#"{"email":"bob@shop.example"}"#, "'role'"), (#"{"email":"bob","role":"viewer"}"#, "'email'"),
        (#"{"email":"bob@shop.example","role":"king"}"#, "'role'"), (#"{"email":"bob@shop.example","role":"viewer","name":"x"}"#, "'name'"),
    ])
    func `a wrong member is not added`(body: String, text: String) async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        try await service.makeAccount("bob@shop.example")
        try await service.run { client async throws in
            let refused = try await client.send(.post, Self.path, body, owner)
            #expect(refused.status == .badRequest && refused.isProblem && refused.text.contains(text), "\(refused.text)")
            #expect(try await client.get("\(Self.path)?limit=1", owner).code == "unknown_parameter")
        }
        #expect(try await service.accounts.members(of: "shop").count == 1)
    }

    @Test func `an owner adds nobody who cannot sign in`() async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        _ = try await service.accounts.invite(EmailAddress("new@shop.example")!, name: "", isAdministrator: false, roles: [:], by: .command)
        try await service.run { client async throws in
            var texts: Set<String> = []
            for email in ["new@shop.example", "none@shop.example"] {
                let refused = try await client.send(.post, Self.path, #"{"email":"\#(email)","role":"viewer"}"#, owner)
                #expect(Self.isRefused(refused, .notFound, "account_not_found"), "\(refused.text)")
                texts.insert(refused.text)
            }
            #expect(texts.count == 1)
        }
        #expect(try await service.accounts.members(of: "shop").count == 1)
    }

    @Test func `another project's members are answered like those of none`() async throws {
        let service = TestService.keyed()
        let owner = try await service.session(.owner)
        try await service.makeAccount("bob@shop.example", roles: ["bank": .owner])
        let bob = Self.id("bob@shop.example")
        let requests: [(HTTPRequest.Method, String, String?)] = [
            (.get, "", nil), (.post, "", #"{"email":"ann@shop.example","role":"owner"}"#), (.patch, "/\(bob)", #"{"role":"viewer"}"#),
            (.delete, "/\(bob)", nil),
        ]
        let before = try await service.accounts.account(bob)
        try await service.run { client async throws in
            for (method, path, body) in requests {
                let other = try await client.send(method, "/api/v1/projects/bank/members\(path)", body, owner)
                let none = try await client.send(method, "/api/v1/projects/none/members\(path)", body, owner)
                #expect(Self.isRefused(other, .notFound, "project_not_found") && other.text == none.text, "\(method) \(other.text)")
            }
            // A member of another project is none of this one, also for those who manage both.
            for fields in [owner, .bearer(TestService.adminToken)] {
                for id in [bob, "x", "%00"] {
                    for (method, body) in Self.changes {
                        let response = try await client.send(method, "\(Self.path)/\(id)", body, fields)
                        #expect(Self.isRefused(response, .notFound, "member_not_found"), "\(method) \(id) \(response.text)")
                    }
                }
            }
        }
        #expect(try await service.accounts.account(bob) == before)
    }
}
