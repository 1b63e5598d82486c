import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Signing in and out over HTTP.
struct AuthRouteTests {
    private static let path = "/api/v1/auth/sign-in"
    private static let ann = "ann@shop.example"
    private static let other = "five boats under the snow"

    private static func credentials(_ email: String = ann, _ password: String = TestService.password, code: String? = nil) -> String {
        let more = code.map { ",\"code\":\"\($0)\"" } ?? ""
        return #"{"email":"\#(email)","password":"\#(password)"\#(more)}"#
    }

    private static func isRefused(_ response: TestResponse, _ status: HTTPResponse.Status, _ code: String) -> Bool {
        response.status == status && response.code == code && response.isProblem && response.sessionToken == nil
    }

    private static let me =
        #"{"kind":"account","account":{"id":"\#(Account.id(of: EmailAddress(ann)!))","email":"ann@shop.example","name":"Ann","#
        + #""administrator":false,"totp":false},"key":null,"projects":[{"id":"shop","role":"editor","scopes":["write","read"]}]}"#

    // MARK: Signing in

    @Test func `a body without a credential is short`() async throws {
        let service = TestService.keyed()
        try await service.run { client async throws in
            for path in [Self.path, "/api/v1/auth/accept"] {
                let response = try await client.send(.post, path, #"{"email":"\#(String(repeating: "x", count: 9_000))"}"#)
                #expect(Self.isRefused(response, .contentTooLarge, "body_too_large"), "\(response.text)")
            }
        }
    }

    @Test func `the right password begins a session`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount(Self.ann, roles: ["shop": .editor])
        try await service.run { client async throws in
            for email in [Self.ann, " ANN@Shop.Example "] {
                let response = try await client.send(.post, Self.path, Self.credentials(email))
                #expect(response.status == .ok && response.text == Self.me && response.headers[.cacheControl] == "no-store")
                let token = try #require(response.sessionToken)
                #expect(SessionToken(token) != nil && !response.text.contains(token))
                let me = try await client.get("/api/v1/auth/me", .session(token))
                #expect(me.status == .ok && me.text == Self.me && me.headers[.cacheControl] == "no-store")
            }
            let first = try await client.send(.post, Self.path, Self.credentials(), [.cookie: "__Host-analytics_session=nonsense"])
            #expect(first.status == .ok)
        }
        #expect(try await service.signIn.sessions(of: Account.id(of: EmailAddress(Self.ann)!)).count == 3)
    }

    @Test func `nobody learns which addresses have an account`() async throws {
        let service = TestService.keyed()
        let account = try await service.makeAccount("off@shop.example")
        _ = try await service.accounts.change(account.id, AccountChange(isDisabled: true), by: .command)
        _ = try await service.accounts.invite(EmailAddress("new@shop.example")!, name: "", isAdministrator: false, roles: [:], by: .command)
        try await service.makeAccount(Self.ann)
        let wrong = [
            Self.credentials(Self.ann, "not the password"), Self.credentials("off@shop.example"), Self.credentials("new@shop.example"),
            Self.credentials("none@shop.example"), Self.credentials("no address"),
        ]
        try await service.run { client async throws in
            var texts: Set<String> = []
            for body in wrong {
                let response = try await client.send(.post, Self.path, body)
                #expect(Self.isRefused(response, .unauthorized, "wrong_credentials"), "\(body) \(response.text)")
                texts.insert("\(response.text) \(response.headers)")
            }
            #expect(texts.count == 1, "\(texts)")
        }
    }

    @Test(arguments: [
        ("{}", "invalid_parameter"), (#"{"email":"a@b.c"}"#, "invalid_parameter"), (#"{"email":"","password":"x"}"#, "invalid_parameter"),
        (#"{"email":1,"password":"x"}"#, "invalid_parameter"), (#"{"email":"a@b.c","password":"x","code":1}"#, "invalid_parameter"),
        (#"{"email":"a@b.c","password":"x","remember":true}"#, "unknown_parameter"), ("[]", "invalid_json"), ("", "invalid_json"),
    ])
    func `a wrong request signs nobody in, and its answer does not repeat the password`(body: String, code: String) async throws {
        try await TestService.keyed().run { client async throws in
            #expect(try await Self.isRefused(client.send(.post, Self.path, body), .badRequest, code))
            let secret = try await client.send(.post, Self.path, #"{"email":"a@b.c","password":"hunter2","password":1}"#)
            #expect(Self.isRefused(secret, .badRequest, "invalid_json") && !secret.text.contains("hunter2"))
            let text = try await client.send(.post, Self.path, Self.credentials(), type: "text/plain")
            #expect(Self.isRefused(text, .unsupportedMediaType, "unsupported_media_type"))
            #expect(try await Self.isRefused(client.send(.post, "\(Self.path)?x=y", "{}"), .badRequest, "unknown_parameter"))
        }
    }

    @Test func `pages of other sites sign nobody in`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount(Self.ann)
        try await service.run { client async throws in
            for origin in ["https://evil.example", "null", "http://localhost:81"] {
                for path in [Self.path, "/api/v1/auth/accept"] {
                    let response = try await client.send(.post, path, Self.credentials(), [.origin: origin])
                    #expect(Self.isRefused(response, .forbidden, "origin_not_allowed"))
                }
            }
            for origin in ["http://localhost", "https://x"] {
                #expect(try await client.send(.post, Self.path, Self.credentials(), [.origin: origin]).status == .ok)
            }
        }
    }

    @Test func `after some failures the right password waits, too`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount(Self.ann)
        try await service.run { client async throws in
            for _ in 0..<5 {
                let response = try await client.send(.post, Self.path, Self.credentials(Self.ann, "wrong"))
                #expect(Self.isRefused(response, .unauthorized, "wrong_credentials"))
            }
            let response = try await client.send(.post, Self.path, Self.credentials())
            #expect(Self.isRefused(response, .tooManyRequests, "too_many_attempts") && response.headers[.retryAfter] == "1")
            service.time.advance(by: .seconds(1))
            #expect(try await client.send(.post, Self.path, Self.credentials()).status == .ok)
        }
    }

    @Test func `while too many passwords are checked, others come back later`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount(Self.ann)
        service.hasher.isBusy.isTaken = true
        try await service.run { client async throws in
            for email in [Self.ann, "none@shop.example"] {
                let response = try await client.send(.post, Self.path, Self.credentials(email))
                #expect(Self.isRefused(response, .serviceUnavailable, "overloaded") && response.headers[.retryAfter] == "1")
            }
        }
    }

    // MARK: Invitations

    private static func accepting(_ token: String, _ password: String = other) -> String {
        #"{"token":"\#(token)","password":"\#(password)","name":"Ann"}"#
    }

    @Test func `an invitation sets a password once, and signs in`() async throws {
        let service = TestService.keyed()
        _ = try await service.store.createProject("shop", at: TestService.now)
        let invited = try await service.accounts.invite(
            EmailAddress(Self.ann)!, name: "", isAdministrator: false, roles: ["shop": .editor], by: .command)
        let path = "/api/v1/auth/accept"
        try await service.run { client async throws in
            for token in ["nonsense", InvitationToken().text, "evs_\(invited.token.dropFirst(4))"] {
                #expect(try await Self.isRefused(client.send(.post, path, Self.accepting(token)), .notFound, "invitation_not_found"))
            }
            let weak = try await client.send(.post, path, Self.accepting(invited.token, "short"))
            #expect(Self.isRefused(weak, .badRequest, "weak_password") && weak.text.contains("12 characters"), "\(weak.text)")
            let accepted = try await client.send(.post, path, Self.accepting(invited.token))
            #expect(accepted.status == .ok && accepted.text == Self.me && accepted.headers[.cacheControl] == "no-store", "\(accepted.text)")
            let token = try #require(accepted.sessionToken)
            #expect(try await client.get("/api/v1/events", .session(token)).status == .ok)
            #expect(try await Self.isRefused(client.send(.post, path, Self.accepting(invited.token)), .notFound, "invitation_not_found"))
            #expect(try await client.send(.post, Self.path, Self.credentials(Self.ann, Self.other)).status == .ok)
        }
    }

    // MARK: Signing out

    @Test func `signing out ends this session, or all of them`() async throws {
        let service = TestService.keyed()
        let one = try await service.session(.viewer, of: Self.ann)
        let (two, three) = (try await service.session(of: Self.ann), try await service.session(of: Self.ann))
        try await service.run { client async throws in
            let out = try await client.send(.post, "/api/v1/auth/sign-out", nil, one)
            #expect(out.status == .noContent && out.sessionToken == "" && out.headers[.cacheControl] == "no-store")
            #expect(try await client.get("/api/v1/auth/me", one).code == "invalid_session")
            #expect(try await client.get("/api/v1/auth/me", two).status == .ok)
            let wrong = try await client.send(.post, "/api/v1/auth/sign-out", #"{"everywhere":1}"#, two)
            #expect(wrong.code == "invalid_parameter")
            #expect(try await client.get("/api/v1/auth/me", three).status == .ok)
            #expect(try await client.send(.post, "/api/v1/auth/sign-out", #"{"everywhere":true}"#, two).status == .noContent)
            for fields in [two, three] { #expect(try await client.get("/api/v1/auth/me", fields).code == "invalid_session") }
        }
    }

    @Test func `a person sees their sessions, and not their tokens`() async throws {
        let service = TestService.keyed()
        let one = try await service.session(.viewer, of: Self.ann)
        _ = try await service.session(.viewer, of: "bob@shop.example")
        try await service.run { client async throws in
            let signedIn = try await client.send(.post, Self.path, Self.credentials(), [.userAgent: "Other"])
            let two = try #require(signedIn.sessionToken)
            let listed = try await client.get("/api/v1/auth/sessions", one)
            let sessions = listed.list("sessions")
            #expect(sessions.count == 2 && listed.headers[.cacheControl] == "no-store", "\(listed.text)")
            let current = try #require(sessions.first { $0["current"] as? Bool == true })
            #expect(current["address"] as? String == "192.0.2.7" && current["agent"] as? String == "Browser")
            #expect(current["createdAt"] as? String == "2026-03-01T12:00:00.000Z")
            #expect(current["lastUsedAt"] as? String == "2026-03-01T12:00:00.000Z")
            #expect(current["expiresAt"] as? String == "2026-03-08T12:00:00.000Z")
            let id = try #require(SessionToken(two)).digest.keyID
            #expect(sessions.first { $0["agent"] as? String == "Other" }?["id"] as? String == id)
            #expect(!listed.text.contains(two) && !listed.text.contains(String(one[.cookie]!.dropFirst(18))))
        }
    }

    // MARK: Password and second factor

    @Test func `a new password ends all sessions and begins another`() async throws {
        let service = TestService.keyed()
        let one = try await service.session(.editor, of: Self.ann)
        let two = try await service.session(of: Self.ann)
        let path = "/api/v1/auth/password"
        try await service.run { client async throws in
            let wrong = try await client.send(.post, path, #"{"current":"x","new":"\#(Self.other)"}"#, one)
            #expect(Self.isRefused(wrong, .unauthorized, "wrong_credentials"))
            let weak = try await client.send(.post, path, #"{"current":"\#(TestService.password)","new":"password1234"}"#, one)
            #expect(Self.isRefused(weak, .badRequest, "weak_password"))
            #expect(try await client.get("/api/v1/auth/me", two).status == .ok)
            let changed = try await client.send(.post, path, #"{"current":"\#(TestService.password)","new":"\#(Self.other)"}"#, one)
            #expect(changed.status == .ok && changed.text == Self.me && changed.headers[.cacheControl] == "no-store", "\(changed.text)")
            let token = try #require(changed.sessionToken)
            #expect(try await client.get("/api/v1/auth/me", .session(token)).text == Self.me)
            for fields in [one, two] { #expect(try await client.get("/api/v1/auth/me", fields).code == "invalid_session") }
            #expect(try await client.send(.post, Self.path, Self.credentials()).code == "wrong_credentials")
            #expect(try await client.send(.post, Self.path, Self.credentials(Self.ann, Self.other)).status == .ok)
        }
    }

    @Test func `a second factor is asked for once it was confirmed, until it is removed with the password`() async throws {
        let service = TestService.keyed()
        let ann = try await service.session(.editor, of: Self.ann)
        let path = "/api/v1/auth/totp"
        try await service.run { client async throws in
            let password = #"{"password":"\#(TestService.password)"}"#
            for (body, status, code) in [
                ("", .badRequest, "invalid_json"), ("{}", .badRequest, "invalid_parameter"),
                (#"{"password":"wrong"}"#, .unauthorized, "wrong_credentials"),
            ] as [(String, HTTPResponse.Status, String)] {
                #expect(try await Self.isRefused(client.send(.post, path, body, ann), status, code))
            }
            let begun = try await client.send(.post, path, password, ann)
            let secret = try #require(begun.json["secret"] as? String)
            #expect(begun.status == .ok && begun.headers[.cacheControl] == "no-store")
            #expect((begun.json["uri"] as? String)?.contains("secret=\(secret)") == true)
            #expect(try await client.send(.post, Self.path, Self.credentials()).status == .ok)

            let wrong = try await client.send(.post, "\(path)/confirm", #"{"code":"1"}"#, ann)
            #expect(Self.isRefused(wrong, .unauthorized, "wrong_code"))
            let known = try #require(try await service.accounts.account(EmailAddress(Self.ann)!)?.totp?.secret)
            let number = String(TOTP.code(known, step: TOTP.step(at: TestService.now)))
            let code = String(repeating: "0", count: 6 - number.count) + number
            let confirmed = try await client.send(.post, "\(path)/confirm", #"{"code":"\#(code)"}"#, ann)
            let codes = try #require(confirmed.json["recoveryCodes"] as? [String])
            #expect(confirmed.status == .ok && Set(codes).count == 10 && confirmed.headers[.cacheControl] == "no-store")
            #expect(try await client.send(.post, path, password, ann).code == "invalid_parameter")
            service.time.advance(by: .seconds(60))

            let none = try await client.send(.post, Self.path, Self.credentials())
            #expect(Self.isRefused(none, .unauthorized, "code_required"))
            let used = try await client.send(.post, Self.path, Self.credentials(code: code))
            #expect(Self.isRefused(used, .unauthorized, "wrong_code"), "a code is used once")
            let guessed = try await client.send(.post, Self.path, Self.credentials(Self.ann, "wrong", code: codes[0]))
            #expect(Self.isRefused(guessed, .unauthorized, "wrong_credentials"))
            let recovered = try await client.send(.post, Self.path, Self.credentials(code: codes[0]))
            #expect(recovered.status == .ok && recovered.text.contains(#""totp":true"#), "\(recovered.text)")
            #expect(try await client.send(.post, Self.path, Self.credentials(code: codes[0])).code == "wrong_code")

            let kept = try await client.send(.delete, path, #"{"password":"wrong"}"#, ann)
            #expect(Self.isRefused(kept, .unauthorized, "wrong_credentials"))
            let removed = try await client.send(.delete, path, password, ann)
            #expect(removed.status == .noContent && removed.headers[.cacheControl] == "no-store", "\(removed.text)")
            #expect(try await client.send(.post, Self.path, Self.credentials()).status == .ok)
        }
    }

    // MARK: Who the caller is

    @Test func `a key, the administrator's token and a caller without a key learn who they are`() async throws {
        let service = TestService.keyed()
        try await service.run { client async throws in
            let anonymous = try await client.get("/api/v1/auth/me")
            let expected =
                #"{"kind":"anonymous","account":null,"key":null,"#
                + #""projects":[{"id":"default","role":null,"scopes":["write","read","admin"]}]}"#
            #expect(anonymous.status == .ok && anonymous.text == expected)
            let token = try await client.get("/api/v1/auth/me", .bearer(TestService.adminToken))
            #expect(token.text == #"{"kind":"administrator","account":null,"key":null,"projects":[]}"#)
            for (scope, scopes) in [(Scope.write, #""write""#), (.read, #""read""#), (.admin, #""write","read","admin""#)] {
                let key = try #require(try await APIKey(service.makeKey(scope)))
                let me = try await client.get("/api/v1/auth/me", .bearer(key.text))
                let own = #"{"id":"\#(key.digest.keyID)","project":"shop","scope":"\#(scope.rawValue)"}"#
                let projects = #"[{"id":"shop","role":null,"scopes":[\#(scopes)]}]"#
                #expect(me.text == #"{"kind":"key","account":null,"key":\#(own),"projects":\#(projects)}"#, "\(me.text)")
            }
            service.time.advance(by: .seconds(1))
            #expect(try await client.get("/api/v1/auth/me").code == "missing_key")
            #expect(try await client.get("/api/v1/auth/me?project=shop", .bearer(TestService.adminToken)).code == "unknown_parameter")
        }
    }

    @Test func `an account learns its projects, and an administrator of the instance all of them`() async throws {
        let service = TestService.keyed()
        try await service.makeAccount(Self.ann, roles: ["shop": .viewer, "bank": .owner])
        let root = try await service.makeAccount("root@shop.example", isAdministrator: true)
        let (ann, admin) = (try await service.session(of: Self.ann), try await service.session(of: root.email.text))
        _ = try await service.store.createProject("other", at: TestService.now)
        try await service.run { client async throws in
            let own = try await client.get("/api/v1/auth/me", ann).list("projects")
            #expect(own.map { $0["id"] as? String } == ["bank", "shop"] && own.map { $0["role"] as? String } == ["owner", "viewer"])
            let all = try await client.get("/api/v1/auth/me", admin)
            #expect(all.list("projects").map { $0["id"] as? String } == ["bank", "other", "shop"], "\(all.text)")
            #expect(all.text.contains(#""administrator":true"#) && all.list("projects").allSatisfy { $0["role"] as? String == "owner" })
        }
    }

    @Test func `routes about an account need its session`() async throws {
        let service = TestService.keyed()
        let key = try await service.makeKey(.admin)
        let routes = RouteTable(services: service.services, settings: service.settings).routes.filter {
            $0.path.hasPrefix("/api/v1/auth/")
                && !["/sign-in", "/accept", "/me", "/oidc", "/oidc/callback"].contains($0.path.dropFirst("/api/v1/auth".count))
        }
        #expect(routes.count == 6)
        try await service.run { client async throws in
            for route in routes {
                let none = try await client.send(route.method, route.path, nil)
                #expect(Self.isRefused(none, .unauthorized, "missing_key") && none.text.contains("sign-in"), "\(none.text)")
                for credential in [key, TestService.adminToken] {
                    let response = try await client.send(route.method, route.path, nil, .bearer(credential))
                    #expect(Self.isRefused(response, .forbidden, "insufficient_scope") && response.headers[.connection] == "close")
                }
            }
        }
    }
}
