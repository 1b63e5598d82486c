import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsOIDC

/// What is sent to the provider, how often, and what its answers lead to.
struct OpenIDProviderTests {
    private let provider = TestProvider()

    private static let ann = ProvidedIdentity(
        ProviderIdentity(issuer: "https://id.example/tenant", subject: "7"), email: EmailAddress("ann@example.org")!)

    private func identity(_ openID: OpenIDProvider) async throws(IdentityProviderError) -> ProvidedIdentity {
        try await openID.identity(code: "c +1", verifier: "v-1", nonce: Claims.nonce)
    }

    private func code(_ openID: OpenIDProvider) async -> IdentityProviderError.Code? {
        do throws(IdentityProviderError) {
            _ = try await identity(openID)
            return nil
        } catch {
            return error.code
        }
    }

    // MARK: Requests

    @Test func theBrowserIsSentThereWithStateNonceAndChallenge() async throws {
        let openID = provider.openID
        let address = try await openID.authorization(state: "s-1", nonce: "n-1", challenge: "c-1")
        #expect(
            address == "https://id.example/authorize?response_type=code&client_id=client:1"
                + "&redirect_uri=https://analytics.example/api/v1/auth/oidc/callback&scope=openid%20email&state=s-1&nonce=n-1"
                + "&code_challenge=c-1&code_challenge_method=S256")
        provider.state.withLock { $0.configuration["authorization_endpoint"] = #""https://id.example/authorize?p=x""# }
        let other = try await provider.openID.authorization(state: "s-1", nonce: "n-1", challenge: "c-1")
        #expect(other.hasPrefix("https://id.example/authorize?p=x&response_type=code&"))
    }

    @Test func theSecretIsInTheHeaderUnlessTheProviderWantsItInTheForm() async throws {
        try provider.sign(Claims.changed(), with: try await .es256())
        let cases: [(String?, Bool)] = [
            (nil, false), (#"["client_secret_post","client_secret_basic"]"#, false), (#"["client_secret_post"]"#, true),
        ]
        for (methods, isInForm) in cases {
            provider.state.withLock { state in
                state.configuration["token_endpoint_auth_methods_supported"] = methods
                state.requests = []
            }
            #expect(try await identity(provider.openID) == Self.ann)
            let request = try #require(provider.state.withLock { $0.requests.first { $0.url.rest == "/token" } })
            let body =
                "grant_type=authorization_code&code=c%20%2B1"
                + "&redirect_uri=https://analytics.example/api/v1/auth/oidc/callback&code_verifier=v-1"
            #expect(request.body == body + (isInForm ? "&client_id=client:1&client_secret=s%25cret/%C3%BC" : ""))
            // RFC 6749, section 2.3.1.
            let header = "Basic " + Data("client%3A1:s%25cret/%C3%BC".utf8).base64EncodedString()
            #expect(request.authorization == (isInForm ? nil : header))
        }
    }

    // MARK: Caches

    @Test func configurationAndKeysAreReadOnceAnHour() async throws {
        try provider.sign(Claims.changed(), with: try await .es256())
        let openID = provider.openID
        for _ in 0..<3 {
            _ = try await openID.authorization(state: "s", nonce: "n", challenge: "c")
            #expect(try await identity(openID) == Self.ann)
            provider.time.advance(by: .seconds(1_199))
        }
        #expect(provider.count(TestProvider.configurationPath) == 1 && provider.count("/keys") == 1 && provider.count("/token") == 3)
        provider.time.advance(by: .seconds(3))
        #expect(try await identity(openID) == Self.ann)
        #expect(provider.count(TestProvider.configurationPath) == 2 && provider.count("/keys") == 2)
    }

    @Test func callersAtTheSameTimeShareOneRead() async throws {
        let openID = provider.openID
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 { group.addTask { _ = try await openID.authorization(state: "\(number)", nonce: "n", challenge: "c") } }
            try await group.waitForAll()
        }
        #expect(provider.count(TestProvider.configurationPath) == 1)
    }

    @Test func aProviderThatIsDownIsAskedAgainAfterAPause() async throws {
        provider.state.withLock { $0.isDown = true }
        let openID = provider.openID
        for _ in 0..<10 { #expect(await code(openID) == .unavailable) }
        #expect(provider.count(TestProvider.configurationPath) == 1)
        provider.time.advance(by: .seconds(5))
        #expect(await code(openID) == .unavailable)
        #expect(provider.count(TestProvider.configurationPath) == 2)
        provider.state.withLock { $0.isDown = false }
        try provider.sign(Claims.changed(), with: try await .es256())
        provider.time.advance(by: .seconds(5))
        #expect(try await identity(openID) == Self.ann)
    }

    @Test func aFailureReadsTheConfigurationAgain() async throws {
        try provider.sign(Claims.changed(), with: try await .es256())
        let openID = provider.openID
        #expect(try await identity(openID) == Self.ann)
        provider.state.withLock { state in
            state.answers["/token"] = (404, "gone")
            state.configuration["token_endpoint"] = #""https://id.example/token?new""#
            state.answers["/token?new"] = (200, #"{"id_token":"\#(state.token)"}"#)
        }
        #expect(await code(openID) == .unavailable)
        #expect(try await identity(openID) == Self.ann)
    }

    @Test func aTokenOfANewKeyReadsTheKeysAgainAtMostOnceAMinute() async throws {
        try provider.sign(Claims.changed(), with: try await .es256("k-1"))
        let openID = provider.openID
        #expect(try await identity(openID) == Self.ann)
        let (second, third) = (try await SigningKey.es256("k-2"), try await SigningKey.es256("k-3"))
        try provider.sign(Claims.changed(), with: second)
        // The keys were read a moment ago.
        #expect(await code(openID) == .refused && provider.count("/keys") == 1)
        provider.time.advance(by: .seconds(60))
        #expect(try await identity(openID) == Self.ann)
        try provider.sign(Claims.changed(), with: third)
        for _ in 0..<10 { #expect(await code(openID) == .refused) }
        #expect(provider.count("/keys") == 2)
    }

    // MARK: Wrong answers

    @Test(arguments: [
        (400, #"{"error":"invalid_grant"}"#, IdentityProviderError.Code.refused), (400, #"{"error":"invalid_client"}"#, .unavailable),
        (401, #"{"error":"invalid_grant"}"#, .unavailable), (302, "", .unavailable), (500, "x", .unavailable), (200, "", .unavailable),
        (200, "{}", .unavailable), (200, #"{"id_token":7}"#, .unavailable), (200, "[]", .unavailable),
        (200, #"{"id_token":""}"#, .refused), (200, #"{"id_token":"a.b.c"}"#, .refused), (200, #"{"id_token":"é"}"#, .refused),
    ])
    func anAnswerWithoutATokenSignsNobodyIn(status: Int, body: String, expected: IdentityProviderError.Code) async {
        provider.state.withLock { $0.answers["/token"] = (status, body) }
        #expect(await code(provider.openID) == expected)
    }

    private static let configurations: [(String, String?)] = [
        ("issuer", #""https://id.example""#), ("issuer", #""https://id.example/tenant/""#), ("issuer", nil), ("issuer", "7"),
        ("authorization_endpoint", nil), ("authorization_endpoint", #""http://id.example/authorize""#),
        ("authorization_endpoint", #""javascript:alert(1)""#), ("authorization_endpoint", #""https://id.example/x#y""#),
        ("token_endpoint", #""http://localhost/token""#), ("token_endpoint", #""https://user:pw@id.example/token""#),
        ("token_endpoint", "[]"),
        ("jwks_uri", #""file:///etc/passwd""#), ("jwks_uri", nil), ("token_endpoint_auth_methods_supported", #"["private_key_jwt"]"#),
        ("token_endpoint_auth_methods_supported", "[]"),
    ]

    @Test(arguments: configurations) func aWrongConfigurationIsThatOfNoProvider(name: String, value: String?) async throws {
        try provider.sign(Claims.changed(), with: try await .es256())
        provider.state.withLock { $0.configuration[name] = value }
        #expect(await code(provider.openID) == .unavailable)
        await #expect(throws: IdentityProviderError.self) {
            try await provider.openID.authorization(state: "s", nonce: "n", challenge: "c")
        }
    }

    @Test(arguments: [TestProvider.configurationPath, "/keys"]) func whatIsNoDocumentIsNone(path: String) async throws {
        for answer in [(302, "{}"), (404, "{}"), (200, ""), (200, "[]"), (200, "{"), (200, "{}"), (200, #"{"keys":7}"#)] {
            try provider.sign(Claims.changed(), with: try await .es256())
            provider.state.withLock { $0.answers[path] = (status: answer.0, body: answer.1) }
            #expect(await code(provider.openID) == .unavailable, "\(answer)")
        }
    }

    @Test func onThisMachineAProviderMayHaveNoTLS() throws {
        func metadata(_ issuer: String, _ keys: String) throws(IdentityProviderError) -> ProviderMetadata {
            let text = JSON.object([
                "issuer": "\"\(issuer)\"", "authorization_endpoint": "\"\(issuer)/a\"", "token_endpoint": "\"\(issuer)/t\"",
                "jwks_uri": "\"\(keys)\"",
            ])
            return try ProviderMetadata(Array(text.utf8), of: SecureURL(issuer)!)
        }
        #expect(try metadata("http://localhost:9000", "http://127.0.0.1:9000/k").keys.text == "http://127.0.0.1:9000/k")
        #expect(throws: IdentityProviderError.self) { try metadata("http://localhost:9000", "http://id.example/k") }
        #expect(throws: IdentityProviderError.self) { try metadata("https://id.example", "http://127.0.0.1:9000/k") }
    }

    @Test(arguments: ["https://id.example", "https://id.example/", "https://id.example/a", "https://id.example/a/"])
    func theConfigurationIsBelowTheIssuer(issuer: String) {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        #expect(ProviderMetadata.address(of: SecureURL(issuer)!)?.text == base + "/.well-known/openid-configuration")
    }
}
