import HTTPTypes
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Signing in with a provider. The service is called `localhost`.
struct OIDCRouteTests {
    private static let path = "/api/v1/auth/oidc"
    private static let callback = "\(path)/callback"
    private static let ann = "ann@shop.example"
    private static let provided = ProvidedIdentity(
        ProviderIdentity(issuer: "https://id.example", subject: "7"), email: EmailAddress(ann)!)

    /// With a provider that signs in Ann.
    private static func service(hasAccount: Bool = true) async throws -> TestService {
        let service = TestService.keyed()
        if hasAccount { try await service.makeAccount(ann, roles: ["shop": .editor]) }
        service.provider?.answer(.success(provided))
        return service
    }

    private static func isRefused(_ response: TestResponse, _ status: HTTPResponse.Status, _ code: String) -> Bool {
        response.status == status && response.code == code && response.isProblem && response.sessionToken == nil
            && response.headers[.cacheControl] == "no-store"
    }

    private static let removal = "__Host-analytics_oidc=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"

    /// A browser that is at the provider.
    private struct Attempt {
        var cookie: HTTPFields
        var state: String
        var code = "c-1"

        var query: String { "?code=\(code)&state=\(state)" }
    }

    private static func begin(_ client: any TestClientProtocol, _ query: String = "") async throws -> Attempt {
        let response = try await client.get(path + query)
        #expect(response.status == .found && response.headers[.cacheControl] == "no-store", "\(response.text)")
        let location = try #require(response.headers[.location])
        let state = try #require(location.wholeMatch(of: #/https://id\.example/authorize\?state=([\w-]{43})&.*/#)?.1)
        let set = try #require(response.headers[.setCookie])
        #expect(set.hasSuffix("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600") && set.hasPrefix("__Host-analytics_oidc="), "\(set)")
        return Attempt(cookie: [.cookie: String(set.prefix { $0 != ";" })], state: String(state))
    }

    @Test func `who comes back from the provider is signed in, and is where they wanted to go`() async throws {
        let service = try await Self.service()
        try await service.run { client async throws in
            let attempt = try await Self.begin(client, "?returnTo=%2Fdocs%3Fx%3D1")
            // Providers add parameters, and some browsers an origin.
            let uri = Self.callback + attempt.query + "&iss=https%3A%2F%2Fid.example&session_state=x"
            let response = try await client.get(uri, attempt.cookie.with(.origin, "https://id.example"))
            #expect(response.status == .found && response.headers[.location] == "/docs?x=1", "\(response.text)")
            #expect(response.headers[.cacheControl] == "no-store" && response.body.readableBytes == 0)
            let cookies = response.headers[values: .setCookie]
            #expect(cookies.count == 2 && cookies.last == Self.removal, "\(cookies)")
            #expect(cookies[0].hasSuffix("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=2592000"))
            let token = try #require(cookies[0].wholeMatch(of: #/__Host-analytics_session=(evs_\w{38});.*/#)?.1)
            let me = try await client.get("/api/v1/auth/me", .session(String(token)))
            #expect(me.status == .ok && me.text.contains(Self.ann))
        }
        let sessions = try await service.signIn.sessions(of: Account.id(of: Self.provided.email))
        #expect(sessions.map(\.method) == [.oidc])
        let entries = try await service.audit.entries(of: nil, before: nil, limit: 10)
        #expect(entries.contains { $0.action == .signIn && $0.target == Self.ann && $0.actor.hasPrefix("account ") })
        let call = try #require(service.provider?.calls.values.first)
        #expect(call.code == "c-1" && call.verifier.utf8.count == 43 && call.nonce.utf8.count == 43 && call.nonce != call.verifier)
    }

    @Test func `without a wish, the way back leads to the documents`() async throws {
        try await Self.service().run { client async throws in
            let attempt = try await Self.begin(client)
            #expect(try await client.get(Self.callback + attempt.query, attempt.cookie).headers[.location] == "/docs")
        }
    }

    @Test(arguments: [
        "https://evil.example", "//evil.example", "/%2Fevil.example", "/%5Cevil.example", "%5C%5Cevil.example", "/%09/evil.example", "docs",
        "",
        "/%0D%0ASet-Cookie:%20x=y", "/%C3%A9", "/" + String(repeating: "x", count: 1_000),
    ])
    func `the way back leads to no other site`(path: String) async throws {
        try await Self.service().run { client async throws in
            let response = try await client.get("\(Self.path)?returnTo=\(path)")
            #expect(response.status == .badRequest && response.code == "invalid_parameter" && response.headers[.setCookie] == nil)
            let other = try await client.get("\(Self.path)?returnto=/docs")
            #expect(other.status == .badRequest && other.code == "unknown_parameter")
        }
    }

    @Test func `only the browser that has left may come back`() async throws {
        let service = try await Self.service()
        try await service.run { client async throws in
            let (attempt, other) = (try await Self.begin(client), try await Self.begin(client))
            let value = try #require(attempt.cookie[.cookie])
            let wrong: [(String, HTTPFields)] = [
                (attempt.query, [:]), (attempt.query, other.cookie), (other.query, attempt.cookie), ("?code=c", attempt.cookie),
                ("", attempt.cookie),
                ("?code=c&state=", attempt.cookie), (attempt.query, [.cookie: String(value.dropFirst("__Host-".count))]),
                (attempt.query, [.cookie: "__Host-analytics_oidc=x"]),
            ]
            for (query, cookie) in wrong {
                #expect(try await Self.isRefused(client.get(Self.callback + query, cookie), .badRequest, "invalid_parameter"), "\(query)")
            }
            let twice = try await client.get(Self.callback + attempt.query + "&state=\(other.state)", attempt.cookie)
            #expect(Self.isRefused(twice, .badRequest, "invalid_parameter"))
            let both = try await client.get(Self.callback + attempt.query, [.cookie: "\(value); \(value)"])
            #expect(Self.isRefused(both, .badRequest, "invalid_header"))
        }
        #expect(service.provider?.calls.values.isEmpty == true)
    }

    @Test func `a provider that signs nobody in, and an address without an account, are refused`() async throws {
        let service = try await Self.service(hasAccount: false)
        let failures: [(IdentityProviderError.Code?, HTTPResponse.Status, String)] = [
            (.refused, .unauthorized, "sign_in_refused"), (.unverified, .unauthorized, "sign_in_refused"),
            (.unavailable, .serviceUnavailable, "provider_unavailable"), (nil, .unauthorized, "sign_in_refused"),
        ]
        try await service.run { client async throws in
            for (code, status, problem) in failures {
                service.provider?.answer(.success(Self.provided))
                let attempt = try await Self.begin(client)
                if let code { service.provider?.answer(.failure(IdentityProviderError(code, "secret-17"))) }
                let response = try await client.get(Self.callback + attempt.query, attempt.cookie)
                #expect(Self.isRefused(response, status, problem) && !response.text.contains("secret-17"), "\(response.text)")
                // After an outage the same address may be opened again.
                #expect(response.headers[.setCookie] == (status == .unauthorized ? Self.removal : nil))
            }
            service.provider?.answer(.failure(IdentityProviderError(.unavailable, "secret-17")))
            let response = try await client.get(Self.path)
            #expect(Self.isRefused(response, .serviceUnavailable, "provider_unavailable") && !response.text.contains("secret-17"))
        }
    }

    @Test(arguments: [
        ("error=access_denied&error_description=No", HTTPResponse.Status.unauthorized, "sign_in_refused"),
        ("error=server_error", .serviceUnavailable, "provider_unavailable"),
        ("error=temporarily_unavailable&code=c", .serviceUnavailable, "provider_unavailable"), ("error=", .unauthorized, "sign_in_refused"),
        ("code=", .badRequest, "invalid_parameter"), ("x=y", .badRequest, "invalid_parameter"),
        ("code=a&code=b", .badRequest, "invalid_parameter"),
        ("code=" + String(repeating: "x", count: 4_097), .badRequest, "invalid_parameter"),
    ])
    func `who comes back without a code is not signed in`(query: String, status: HTTPResponse.Status, code: String) async throws {
        let service = try await Self.service()
        try await service.run { client async throws in
            let attempt = try await Self.begin(client)
            let response = try await client.get("\(Self.callback)?\(query)&state=\(attempt.state)", attempt.cookie)
            #expect(Self.isRefused(response, status, code), "\(response.text)")
        }
        #expect(service.provider?.calls.values.isEmpty == true)
    }

    @Test func `a client that sends many codes has to wait`() async throws {
        let service = try await Self.service(hasAccount: false)
        try await service.run { client async throws in
            let attempt = try await Self.begin(client)
            for _ in 0..<20 {
                #expect(try await client.get(Self.callback + attempt.query, attempt.cookie).code == "sign_in_refused")
            }
            let response = try await client.get(Self.callback + attempt.query, attempt.cookie)
            #expect(Self.isRefused(response, .tooManyRequests, "too_many_attempts") && response.headers[.retryAfter] == "1")
        }
        #expect(service.provider?.calls.values.count == 20)
    }

    @Test func `without a provider there are no such routes`() async throws {
        var service = try await Self.service()
        service.provider = nil
        try await service.run { client async throws in
            for path in [Self.path, Self.callback] { #expect(try await client.get(path).status == .notFound) }
        }
    }

    @Test func `with a public address of https every cookie needs TLS, on loopback too`() async throws {
        var made = try await Self.service()
        made.settings.publicURL = SecureURL("https://analytics.example")
        made.authenticator = made.keyAccess()
        let service = made
        try await service.run(.live) { client async throws in
            let begun = try await client.get(Self.path)
            let set = try #require(begun.headers[.setCookie])
            #expect(set.hasPrefix("__Host-analytics_oidc=") && set.hasSuffix("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"))
            let state = try #require(begun.headers[.location]?.firstMatch(of: #/state=([\w-]+)/#)?.1)
            let uri = "\(Self.callback)?code=c&state=\(state)"
            let cookies = try await client.get(uri, [.cookie: String(set.prefix { $0 != ";" })]).headers[values: .setCookie]
            #expect(cookies.count == 2 && cookies.allSatisfy { $0.hasPrefix("__Host-") && $0.contains("; Secure; ") }, "\(cookies)")
            let session = try #require(cookies.first?.prefix { $0 != ";" })
            #expect(try await client.get("/api/v1/auth/me", [.cookie: String(session)]).status == .ok)
            #expect(try await client.get("/api/v1/auth/me", [.cookie: String(session.dropFirst(7))]).code == "missing_key")
        }
    }
}
