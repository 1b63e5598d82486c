public import AnalyticsCore
internal import FoundationEssentials
internal import JWTKit

/// A provider of OpenID Connect, by the authorization code flow with PKCE and a secret of this client (OpenID Connect Core, section 3.1).
public final class OpenIDProvider: IdentityProvider {
    private let settings: OpenIDSettings
    private let transport: any ProviderTransport
    private let clock: WallClock
    private let metadata: ProviderCache<ProviderMetadata>
    private let keys: ProviderCache<KeySet>

    /// Keys are read again for a token of an unknown one, at most so often.
    private static let keyInterval: Duration = .seconds(60)

    public convenience init(_ settings: OpenIDSettings, clock: WallClock) {
        self.init(settings, transport: HTTPProviderTransport(), clock: clock, elapsed: .system)
    }

    init(_ settings: OpenIDSettings, transport: any ProviderTransport, clock: WallClock, elapsed: ElapsedClock) {
        self.settings = settings
        self.transport = transport
        self.clock = clock
        let metadata = ProviderCache(elapsed: elapsed) { () async throws(IdentityProviderError) -> ProviderMetadata in
            guard let address = ProviderMetadata.address(of: settings.issuer) else {
                throw IdentityProviderError(.unavailable, "its issuer is too long")
            }
            return try ProviderMetadata(try await transport.document(at: address), of: settings.issuer)
        }
        self.metadata = metadata
        keys = ProviderCache(elapsed: elapsed) { () async throws(IdentityProviderError) -> KeySet in
            try KeySet(try await transport.document(at: try await metadata.value().keys))
        }
    }

    // MARK: The browser goes there

    public func authorization(state: String, nonce: String, challenge: String) async throws(IdentityProviderError) -> String {
        let endpoint = try await metadata.value().authorization.text
        let query = [
            ("response_type", "code"), ("client_id", settings.clientID), ("redirect_uri", settings.redirectURI), ("scope", "openid email"),
            ("state", state), ("nonce", nonce), ("code_challenge", challenge), ("code_challenge_method", "S256"),
        ].map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&")
        return endpoint + (endpoint.containsUTF8("?") ? "&" : "?") + query
    }

    // MARK: The browser is back

    public func identity(code: String, verifier: String, nonce: String) async throws(IdentityProviderError) -> ProvidedIdentity {
        do throws(IdentityProviderError) {
            let token = try await token(code: code, verifier: verifier)
            let claims = try await IDToken(token, signedBy: try await key(for: try TokenHeader(of: token)))
            return try claims.identity(
                ExpectedToken(issuer: settings.issuer.text, clientID: settings.clientID, nonce: nonce, now: clock.now()))
        } catch {
            // Its addresses may have changed.
            if error.code == .unavailable { await metadata.forget() }
            throw error
        }
    }

    private func key(for header: TokenHeader) async throws(IdentityProviderError) -> JWK {
        if let key = try await keys.value().key(for: header) { return key }
        guard let key = try await keys.value(maximumAge: Self.keyInterval).key(for: header) else {
            throw IdentityProviderError(.refused, "it has no key that fits its token")
        }
        return key
    }

    private struct TokenAnswer: Decodable {
        var token: String?
        var error: String?

        enum CodingKeys: String, CodingKey {
            case token = "id_token"
            case error
        }
    }

    private func token(code: String, verifier: String) async throws(IdentityProviderError) -> String {
        let metadata = try await metadata.value()
        var form = [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", settings.redirectURI), ("code_verifier", verifier),
        ]
        if metadata.takesSecretInForm { form += [("client_id", settings.clientID), ("client_secret", settings.clientSecret)] }
        let answer = try await transport.send(
            ProviderRequest(
                url: metadata.token, form: form.map { (name: $0, value: $1) },
                authorization: metadata.takesSecretInForm ? nil : Self.basic(settings.clientID, settings.clientSecret)))
        let content = try? JSONDecoder().decode(TokenAnswer.self, from: Data(answer.body))
        if answer.status == 400, content?.error?.equalsUTF8("invalid_grant") == true {
            throw IdentityProviderError(.refused, "it does not know the code, which may have been used")
        }
        guard answer.status == 200, let token = content?.token else {
            let error = content?.error.map { " (\($0.clipped))" } ?? ""
            throw IdentityProviderError(.unavailable, "\(metadata.token.text) answered \(answer.status)\(error), without an ID token")
        }
        return token
    }

    /// RFC 6749, section 2.3.1: both are encoded as in a form.
    static func basic(_ clientID: String, _ secret: String) -> String {
        let parts = [clientID, secret].map { PercentEncoding.encode($0).splitUTF8(":", omittingEmptySubsequences: false) }
        return "Basic " + Data(parts.map { $0.joined(separator: "%3A") }.joined(separator: ":").utf8).base64EncodedString()
    }
}

extension ProviderTransport {
    fileprivate func document(at url: SecureURL) async throws(IdentityProviderError) -> [UInt8] {
        let answer = try await send(ProviderRequest(url: url))
        guard answer.status == 200 else { throw IdentityProviderError(.unavailable, "\(url.text) answered \(answer.status)") }
        return answer.body
    }
}
