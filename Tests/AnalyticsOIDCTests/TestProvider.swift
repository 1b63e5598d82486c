import CryptoExtras
import Foundation
import JWTKit
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsOIDC

/// A provider in memory, and this service registered with it. It is noon.
final class TestProvider: ProviderTransport {
    struct State {
        /// Members of its configuration, as JSON.
        var configuration: [String: String] = [
            "issuer": #""https://id.example/tenant""#, "authorization_endpoint": #""https://id.example/authorize""#,
            "token_endpoint": #""https://id.example/token""#, "jwks_uri": #""https://id.example/keys""#,
            "response_types_supported": #"["code"]"#,
        ]
        var keys: [String] = []
        var token = ""
        /// In place of what it would answer, by the path.
        var answers: [String: (status: Int, body: String)] = [:]
        /// It does not answer at all.
        var isDown = false
        var requests: [ProviderRequest] = []
    }

    let state = Mutex(State())
    let time = ManualClock()
    /// As another process has it, with nothing in its caches.
    var openID: OpenIDProvider { OpenIDProvider(Self.settings, transport: self, clock: .fixed(noon), elapsed: time.elapsed) }

    static let settings = OpenIDSettings(
        issuer: SecureURL("https://id.example/tenant")!, clientID: "client:1", clientSecret: "s%cret/ü",
        publicURL: SecureURL("https://analytics.example/")!)
    static let configurationPath = "/tenant/.well-known/openid-configuration"

    /// How often each path was asked for.
    func count(_ path: String) -> Int { state.withLock { $0.requests.filter { $0.url.rest == path }.count } }

    func sign(_ claims: String, with key: SigningKey, header: String? = nil) throws {
        let token = try key.token(claims, header: header)
        state.withLock { state in
            state.keys = [key.jwk]
            state.token = token
        }
    }

    func send(_ request: ProviderRequest) async throws(IdentityProviderError) -> ProviderAnswer {
        let answer = state.withLock { state -> (status: Int, body: String)? in
            state.requests.append(request)
            guard !state.isDown else { return nil }
            return state.answers[request.url.rest] ?? Self.answer(to: request.url.rest, state)
        }
        guard let answer else { throw IdentityProviderError(.unavailable, "down") }
        return ProviderAnswer(status: answer.status, body: Array(answer.body.utf8))
    }

    private static func answer(to path: String, _ state: State) -> (status: Int, body: String) {
        switch path {
        case configurationPath: (200, JSON.object(state.configuration))
        case "/keys": (200, #"{"keys":[\#(state.keys.joined(separator: ","))]}"#)
        case "/token": (200, #"{"access_token":"a","token_type":"Bearer","id_token":"\#(state.token)"}"#)
        default: (404, "")
        }
    }
}

enum JSON {
    /// - Parameter members: Names, and values as JSON.
    static func object(_ members: [String: String]) -> String {
        "{" + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }
}

enum Claims {
    static let nonce = "n-1"
    static let seconds = noon.milliseconds / 1_000

    /// Those of a right token, with changes: values as JSON, or none.
    static func changed(_ changes: [String: String?] = [:]) -> String {
        var claims = [
            "iss": #""https://id.example/tenant""#, "sub": #""7""#, "aud": #""client:1""#, "exp": "\(seconds + 600)", "iat": "\(seconds)",
            "nonce": "\"\(nonce)\"", "email": #""Ann@Example.org""#, "email_verified": "true", "name": #""Ann""#,
        ]
        for (name, value) in changes { claims[name] = value }
        return JSON.object(claims)
    }
}

/// A key of a provider.
struct SigningKey: Sendable {
    let algorithm: any JWTAlgorithm
    /// Its public part.
    let jwk: String
    let name: String

    static func es256(_ name: String = "k-1", more: String = #","alg":"ES256","use":"sig""#) async throws -> SigningKey {
        let key = ES256PrivateKey()
        let point = try #require(key.parameters)
        let jwk = #"{"kty":"EC","crv":"P-256","kid":"\#(name)","x":"\#(point.x)","y":"\#(point.y)"\#(more)}"#
        return SigningKey(algorithm: try await JWTKeyCollection().add(ecdsa: key).getKey(), jwk: jwk, name: name)
    }

    /// Without `alg`: it fits both algorithms of RSA.
    static func rsa(isPSS: Bool, _ name: String = "k-2") async throws -> SigningKey {
        let key = try JWTKit.Insecure.RSA.PrivateKey(backing: _RSA.Signing.PrivateKey(keySize: .bits2048))
        let numbers = try key.publicKey.getKeyPrimitives()
        let (n, e) = (Base64URL.encode(Array(numbers.modulus)), Base64URL.encode(Array(numbers.publicExponent)))
        let keys = JWTKeyCollection()
        if isPSS { await keys.add(pss: key, digestAlgorithm: .sha256) } else { await keys.add(rsa: key, digestAlgorithm: .sha256) }
        return SigningKey(
            algorithm: try await keys.getKey(), jwk: #"{"kty":"RSA","kid":"\#(name)","n":"\#(n)","e":"\#(e)","use":"sig"}"#, name: name)
    }

    func token(_ claims: String, header: String? = nil) throws -> String {
        let header = header ?? #"{"alg":"\#(algorithm.name)","kid":"\#(name)","typ":"JWT"}"#
        let text = [header, claims].map { Base64URL.encode(Array($0.utf8)) }.joined(separator: ".")
        return text + "." + Base64URL.encode(try algorithm.sign(Array(text.utf8)))
    }
}
