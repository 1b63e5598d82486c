import Foundation
import JWTKit
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsOIDC

/// Which tokens sign somebody in.
struct IDTokenTests {
    private let provider = TestProvider()

    private func code() async -> IdentityProviderError.Code? {
        do throws(IdentityProviderError) {
            let identity = try await provider.openID.identity(code: "c", verifier: "v", nonce: Claims.nonce)
            return identity.email.text == "ann@example.org" ? nil : .unavailable
        } catch {
            return error.code
        }
    }

    // MARK: Claims

    private static let right: [[String: String?]] = [
        [:], ["aud": #"["client:1"]"#], ["aud": #"["client:1","other"]"#, "azp": #""client:1""#], ["azp": #""client:1""#],
        ["email_verified": #""true""#], ["exp": "\(Claims.seconds - 299)"], ["iat": "\(Claims.seconds + 299)"],
        ["iat": "\(Claims.seconds - 899)"], ["exp": "\(Claims.seconds + 600).5"], ["nbf": "\(Claims.seconds - 300)"],
        ["sub": "\"\(String(repeating: "x", count: 255))\""], ["email": #"" ann@example.org ""#],
    ]

    @Test(arguments: right) func aRightTokenSignsInItsPerson(changes: [String: String?]) async throws {
        try provider.sign(Claims.changed(changes), with: try await .es256())
        #expect(await code() == nil)
    }

    private static let wrong: [[String: String?]] = [
        ["iss": #""https://id.example""#], ["iss": #""https://id.example/tenant/""#], ["iss": nil], ["iss": "7"],
        ["aud": #""client:2""#], ["aud": #"["other"]"#], ["aud": "[]"], ["aud": nil], ["aud": "{}"], ["aud": #""Client:1""#],
        ["aud": #"["client:1","other"]"#], ["aud": #"["client:1","other"]"#, "azp": #""other""#], ["azp": #""other""#],
        ["exp": "\(Claims.seconds - 300)"], ["exp": nil], ["exp": #""never""#], ["exp": "-1e300"], ["exp": "null"],
        ["iat": "\(Claims.seconds + 300)"], ["iat": "\(Claims.seconds - 900)"], ["iat": nil], ["iat": "1e300"],
        ["nbf": "\(Claims.seconds + 300)"], ["nonce": #""n-2""#], ["nonce": nil], ["nonce": #""""#], ["nonce": "1"],
        ["sub": #""""#], ["sub": nil], ["sub": "\"\(String(repeating: "x", count: 256))\""], ["sub": #""a\u0000b""#], ["sub": "7"],
        ["email_verified": #""yes""#], ["email_verified": "1"],
    ]

    @Test(arguments: wrong) func aTokenWithAnotherClaimSignsNobodyIn(changes: [String: String?]) async throws {
        try provider.sign(Claims.changed(changes), with: try await .es256())
        #expect(await code() == .refused)
    }

    private static let unverified: [[String: String?]] = [
        ["email_verified": "false"], ["email_verified": nil], ["email_verified": "null"], ["email_verified": #""false""#], ["email": nil],
        ["email": #""""#], ["email": #""ann""#], ["email": #""ann@example.org\nbob@example.org""#],
    ]

    @Test(arguments: unverified) func anAddressThatIsNotVerifiedIsTold(changes: [String: String?]) async throws {
        try provider.sign(Claims.changed(changes), with: try await .es256())
        #expect(await code() == .unverified)
    }

    // MARK: Signatures

    @Test(arguments: [false, true]) func tokensMayBeSignedWithRSA(isPSS: Bool) async throws {
        let key = try await SigningKey.rsa(isPSS: isPSS)
        try provider.sign(Claims.changed(), with: key)
        #expect(key.algorithm.name == (isPSS ? "PS256" : "RS256"))
        #expect(await code() == nil)
        // The other algorithm of RSA, with the same key.
        try provider.sign(Claims.changed(), with: key, header: #"{"alg":"\#(isPSS ? "RS256" : "PS256")","kid":"k-2"}"#)
        #expect(await code() == .refused)
    }

    @Test(arguments: [
        #"{"alg":"none","kid":"k-1"}"#, #"{"alg":"None","kid":"k-1"}"#, #"{"alg":"HS256","kid":"k-1"}"#, #"{"alg":"es256","kid":"k-1"}"#,
        #"{"alg":"RS256","kid":"k-1"}"#, #"{"alg":"ES384","kid":"k-1"}"#, #"{"alg":"EdDSA","kid":"k-1"}"#, #"{"alg":"","kid":"k-1"}"#,
        #"{"kid":"k-1"}"#, #"{"alg":7,"kid":"k-1"}"#, #"{"alg":"ES256","kid":"k-9"}"#, #"{"alg":"ES256","kid":7}"#,
        #"{"alg":"ES256","kid":"k-1","crit":["exp"]}"#, #"{"alg":"ES256","kid":"k-1","crit":null}"#, "[]", "",
    ])
    func anotherHeaderSignsNobodyIn(header: String) async throws {
        try provider.sign(Claims.changed(), with: try await .es256(), header: header)
        #expect(await code() == .refused)
    }

    @Test func aTokenWithoutASignatureOrWithThatOfAnotherSignsNobodyIn() async throws {
        let (key, other) = (try await SigningKey.es256(), try await SigningKey.es256())
        let token = try key.token(Claims.changed())
        let parts = token.split(separator: ".").map(String.init)
        let foreign = try other.token(Claims.changed())
        let changed = Base64URL.encode(Array(Claims.changed(["sub": #""8""#]).utf8))
        try provider.sign(Claims.changed(), with: key)
        let wrong = [
            foreign, "\(parts[0]).\(changed).\(parts[2])", "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])", "\(token).x",
            "\(parts[0]).\(parts[1]).\(foreign.split(separator: ".")[2])", "..", "\(parts[0])..\(parts[2])",
        ]
        for text in wrong {
            provider.state.withLock { $0.token = text }
            #expect(await code() == .refused, "\(text)")
        }
        provider.state.withLock { $0.token = token }
        #expect(await code() == nil)
    }

    // MARK: Keys

    @Test func keysOfOtherKindsAreLeftOut() async throws {
        let key = try await SigningKey.es256()
        let token = try key.token(Claims.changed())
        provider.state.withLock { state in
            state.token = token
            state.keys = [
                #"{"kty":"oct","kid":"k-1","k":"AAAA"}"#, #"{"kty":"OKP","crv":"Ed25519","kid":"k-1","x":"AAAA"}"#, "7", #"{"kid":"k-1"}"#,
                #"{"kty":"RSA","kid":"k-1","alg":"RSA-OAEP-256","use":"enc","n":"AQAB","e":"AQAB"}"#,
                #"{"kty":"EC","crv":"P-384","kid":"k-1","x":"AAAA","y":"AAAA"}"#, key.jwk,
            ]
        }
        #expect(await code() == nil)
    }

    @Test(arguments: [#","use":"enc""#, #","alg":"ES384""#, #","alg":"ECDH-ES""#]) func aKeyForSomethingElseVerifiesNothing(
        more: String
    ) async throws {
        try provider.sign(Claims.changed(), with: try await .es256(more: more))
        #expect(await code() == .refused)
    }

    @Test func aTokenThatNamesNoKeyHasToFitOnlyOne() async throws {
        let (key, other) = (try await SigningKey.es256("k-1", more: ""), try await SigningKey.es256("k-2"))
        try provider.sign(Claims.changed(), with: key, header: #"{"alg":"ES256"}"#)
        #expect(await code() == nil)
        provider.state.withLock { $0.keys.append(other.jwk) }
        #expect(await code() == .refused)
    }

    @Test(arguments: [#""x":"AAAA","y":"AAAA""#, #""x":"?","y":"?""#, #""x":"AAAA""#]) func aBrokenKeyVerifiesNothing(point: String)
        async throws
    {
        try provider.sign(Claims.changed(), with: try await .es256())
        provider.state.withLock { $0.keys = [#"{"kty":"EC","crv":"P-256","kid":"k-1",\#(point)}"#] }
        #expect(await code() == .refused)
    }
}
