import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Accounts over HTTP, managed by the administrators of the instance.
struct AccountRouteTests {
    private static let token = HTTPFields.bearer(TestService.adminToken)
    private static let path = "/api/v1/accounts"

    private static func id(_ email: String) -> String { Account.id(of: EmailAddress(email)!) }

    private static func isRefused(_ response: TestResponse, _ status: HTTPResponse.Status, _ code: String) -> Bool {
        response.status == status && response.code == code && response.isProblem
    }

    /// With an administrator of the instance, who has signed in, and the project `shop`.
    private static func managed() async throws -> (service: TestService, root: HTTPFields) {
        let service = TestService.keyed()
        try await service.makeAccount("root@shop.example", isAdministrator: true)
        _ = try await service.store.createProject("shop", at: TestService.now)
        return (service, try await service.session(of: "root@shop.example"))
    }

    @Test func `an administrator invites a person, and the token is shown once`() async throws {
        let (service, root) = try await Self.managed()
        let id = Self.id("new@shop.example")
        try await service.run { client async throws in
            let invited = try await client.send(
                .post, Self.path, #"{"email":" New@shop.example","name":"New","roles":{"shop":"editor","default":"owner"}}"#, root)
            #expect(invited.status == .created && invited.headers[.location] == "\(Self.path)/\(id)", "\(invited.text)")
            #expect(invited.headers[.cacheControl] == "no-store")
            let account =
                #""id":"\#(id)","email":"new@shop.example","name":"New","administrator":false,"totp":false,"#
                + #""roles":{"default":"owner","shop":"editor"},"createdAt":"2026-03-01T12:00:00.000Z","disabledAt":null"#
            let token = try #require(invited.json["invitation"] as? String)
            #expect(invited.text == #"{\#(account),"invitation":"\#(token)","expiresAt":"2026-03-08T12:00:00.000Z"}"#)
            let shown = try await client.get("\(Self.path)/\(id)", root)
            #expect(shown.text == "{\(account)}" && shown.headers[.cacheControl] == "no-store")
            let again = try await client.send(.post, Self.path, #"{"email":"new@shop.example"}"#, root)
            #expect(Self.isRefused(again, .conflict, "account_exists"), "\(again.text)")
            let accepted = try await client.send(
                .post, "/api/v1/auth/accept", #"{"token":"\#(token)","password":"\#(TestService.password)"}"#)
            #expect(accepted.status == .ok && accepted.text.contains(#""name":"New""#), "\(accepted.text)")
            let other = try await client.send(.post, Self.path, #"{"email":"two@shop.example","administrator":true}"#, Self.token)
            #expect(other.status == .created && other.json["administrator"] as? Bool == true && other.json["name"] as? String == "")
        }
    }

    @Test(arguments: [
        ("{}", "'email'"), (#"{"email":"nobody"}"#, "'email'"), (#"{"email":"a@b.c","name":1}"#, "'name'"),
        (#"{"email":"a@b.c","name":"a\n"}"#, "'name'"), (#"{"email":"a@b.c","administrator":1}"#, "'administrator'"),
        (#"{"email":"a@b.c","roles":[]}"#, "'roles'"), (#"{"email":"a@b.c","roles":{"shop":"king"}}"#, "'roles.shop'"),
        (#"{"email":"a@b.c","roles":{"Shop":"owner"}}"#, "'roles.Shop'"), (#"{"email":"a@b.c","password":"x"}"#, "'password'"),
    ])
    func `a wrong invitation makes no account`(body: String, text: String) async throws {
        let (service, root) = try await Self.managed()
        try await service.run { client async throws in
            let refused = try await client.send(.post, Self.path, body, root)
            #expect(refused.status == .badRequest && refused.isProblem && refused.text.contains(text), "\(refused.text)")
            let unknown = try await client.send(.post, Self.path, #"{"email":"a@b.c","roles":{"none":"owner"}}"#, root)
            #expect(Self.isRefused(unknown, .notFound, "project_not_found"))
        }
        #expect(try await service.accounts.list(before: nil, limit: 10).count == 1)
    }

    @Test func `accounts are listed in pages`() async throws {
        let (service, root) = try await Self.managed()
        for name in ["a", "b", "c", "d"] { try await service.makeAccount("\(name)@shop.example") }
        try await service.run { client async throws in
            var (ids, cursor) = ([] as [String], "")
            for count in [2, 2, 1] {
                let page = try await client.get("\(Self.path)?limit=2\(cursor.isEmpty ? "" : "&cursor=\(cursor)")", root)
                #expect(page.status == .ok && page.list("accounts").count == count, "\(page.text)")
                ids += page.list("accounts").compactMap { $0["id"] as? String }
                cursor = page.json["cursor"] as? String ?? ""
                #expect(cursor.isEmpty == (count == 1) && (page.json["cursor"] is NSNull) == cursor.isEmpty)
                #expect(!page.text.contains("scrypt") && !page.text.contains("epoch"))
            }
            #expect(Set(ids).count == 5)
            for query in ["limit=0", "limit=1001", "cursor=", "cursor=%2F", "cursor=\(String(repeating: "a", count: 65))"] {
                #expect(try await Self.isRefused(client.get("\(Self.path)?\(query)", root), .badRequest, "invalid_parameter"), "\(query)")
            }
            #expect(try await client.get("\(Self.path)?page=2", root).code == "unknown_parameter")
        }
    }

    @Test func `an account is changed member by member`() async throws {
        let (service, root) = try await Self.managed()
        let ann = try await service.session(.viewer)
        let path = "\(Self.path)/\(Self.id("ann@shop.example"))"
        try await service.run { client async throws in
            #expect(try await client.get("/api/v1/events", ann).status == .ok)
            let named = try await client.send(.patch, path, #"{"name":"Ann Other","administrator":true}"#, root)
            #expect(named.json["name"] as? String == "Ann Other" && named.json["administrator"] as? Bool == true, "\(named.text)")
            #expect(named.json["disabledAt"] is NSNull && named.headers[.cacheControl] == "no-store")
            let disabled = try await client.send(.patch, path, #"{"disabled":true,"administrator":false,"name":""}"#, root)
            #expect(disabled.json["disabledAt"] as? String == "2026-03-01T12:00:00.000Z" && disabled.json["name"] as? String == "")
            service.time.advance(by: .seconds(15))
            #expect(try await client.get("/api/v1/events", ann).code == "invalid_session")
            let enabled = try await client.send(.patch, path, #"{"disabled":false}"#, root)
            #expect(enabled.json["disabledAt"] is NSNull)
            #expect(try await client.get("/api/v1/events", ann).code == "invalid_session", "its sessions have ended")
            #expect(try await client.send(.patch, path, "{}", root).text == enabled.text)
            for body in [#"{"email":"x@y.z"}"#, #"{"name":null}"#, #"{"disabled":"yes"}"#, #"{"roles":{}}"#] {
                #expect(try await client.send(.patch, path, body, root).status == .badRequest, "\(body)")
            }
        }
    }

    @Test func `a reset ends the password, the second factor and the sessions`() async throws {
        let (service, root) = try await Self.managed()
        let ann = try await service.session(.viewer)
        let id = Self.id("ann@shop.example")
        try await service.run { client async throws in
            let reset = try await client.send(.post, "\(Self.path)/\(id)/reset", nil, root)
            let token = try #require(reset.json["invitation"] as? String)
            #expect(reset.status == .ok && reset.headers[.cacheControl] == "no-store")
            #expect(reset.text == #"{"invitation":"\#(token)","expiresAt":"2026-03-08T12:00:00.000Z"}"#)
            #expect(try await client.get("/api/v1/auth/me", ann).code == "invalid_session")
            let body = #"{"email":"ann@shop.example","password":"\#(TestService.password)"}"#
            #expect(try await client.send(.post, "/api/v1/auth/sign-in", body).code == "wrong_credentials")
            let accepted = try await client.send(.post, "/api/v1/auth/accept", #"{"token":"\#(token)","password":"five boats in snow"}"#)
            #expect(accepted.status == .ok, "\(accepted.text)")
        }
    }

    @Test func `an account is removed once`() async throws {
        let (service, root) = try await Self.managed()
        let ann = try await service.session(.viewer)
        let path = "\(Self.path)/\(Self.id("ann@shop.example"))"
        try await service.run { client async throws in
            let removed = try await client.send(.delete, path, nil, root)
            #expect(removed.status == .noContent && removed.headers[.cacheControl] == "no-store")
            #expect(try await client.get("/api/v1/auth/me", ann).code == "invalid_session")
            for (method, more) in [(HTTPRequest.Method.delete, ""), (.get, ""), (.patch, ""), (.post, "/reset")] {
                let response = try await client.send(method, path + more, method == .patch ? "{}" : nil, root)
                #expect(Self.isRefused(response, .notFound, "account_not_found"), "\(method) \(response.text)")
            }
            for id in ["x", "A\(String(repeating: "0", count: 19))", String(repeating: "0", count: 20), "%00"] {
                #expect(try await Self.isRefused(client.get("\(Self.path)/\(id)", root), .notFound, "account_not_found"), "\(id)")
            }
        }
    }

    @Test func `nobody but an administrator of the instance sees or changes accounts`() async throws {
        let (service, _) = try await Self.managed()
        let owner = try await service.session(.owner)
        let id = Self.id("root@shop.example")
        let key = try await service.makeKey(.admin)
        let requests: [(HTTPRequest.Method, String, String?)] = [
            (.get, "", nil), (.post, "", #"{"email":"x@shop.example","administrator":true}"#), (.get, "/\(id)", nil),
            (.patch, "/\(id)", #"{"disabled":true}"#), (.delete, "/\(id)", nil), (.post, "/\(id)/reset", nil),
        ]
        try await service.run { client async throws in
            for (method, path, body) in requests {
                for fields in [owner, .bearer(key)] {
                    let response = try await client.send(method, Self.path + path, body, fields)
                    #expect(Self.isRefused(response, .forbidden, "insufficient_scope"), "\(method) \(path) \(response.text)")
                    #expect(response.headers[.connection] == "close" && !response.text.contains("root@"))
                }
            }
        }
        #expect(try await service.accounts.list(before: nil, limit: 10).count == 2)
        #expect(try await service.accounts.account(id)?.disabledAt == nil)
    }

    @Test func `an administrator that was disabled in the meantime changes nothing`() async throws {
        let (service, root) = try await Self.managed()
        let id = Self.id("root@shop.example")
        try await service.run { client async throws in
            #expect(try await client.get(Self.path, root).status == .ok)
            _ = try await service.accounts.change(id, AccountChange(isDisabled: true), by: .command)
            for (path, body) in [(Self.path, #"{"email":"x@shop.example","administrator":true}"#), ("/api/v1/projects", #"{"id":"new"}"#)] {
                #expect(try await Self.isRefused(client.send(.post, path, body, root), .unauthorized, "invalid_session"))
            }
        }
        #expect(try await service.accounts.list(before: nil, limit: 10).count == 1)
        #expect(service.store.records.map(\.project) == ["shop"])
    }
}
