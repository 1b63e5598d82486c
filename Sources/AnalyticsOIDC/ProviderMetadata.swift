internal import AnalyticsCore
internal import FoundationEssentials

/// What the provider says of itself (OpenID Connect Discovery, section 3). Pure.
struct ProviderMetadata: Sendable, Equatable {
    /// Where browsers go.
    var authorization: SecureURL
    /// Where codes become tokens.
    var token: SecureURL
    var keys: SecureURL
    /// The secret of this client goes into the form, and not into the header.
    var takesSecretInForm: Bool

    private struct Document: Decodable {
        var issuer: String
        var authorizationEndpoint: String
        var tokenEndpoint: String
        var jwksURI: String
        var authenticationMethods: [String]?

        enum CodingKeys: String, CodingKey {
            case issuer
            case authorizationEndpoint = "authorization_endpoint"
            case tokenEndpoint = "token_endpoint"
            case jwksURI = "jwks_uri"
            case authenticationMethods = "token_endpoint_auth_methods_supported"
        }
    }

    /// The address of the document. An issuer may have a path, which may end with a slash.
    static func address(of issuer: SecureURL) -> SecureURL? {
        SecureURL(issuer.text.trimmingUTF8(last: issuer.text.ends(withUTF8: "/") ? 1 : 0) + "/.well-known/openid-configuration")
    }

    init(_ body: [UInt8], of issuer: SecureURL) throws(IdentityProviderError) {
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(body)) else {
            throw IdentityProviderError(.unavailable, "its configuration is no JSON object with the members of OpenID Connect Discovery")
        }
        guard document.issuer.equalsUTF8(issuer.text) else {
            throw IdentityProviderError(.unavailable, "its configuration is that of the issuer '\(document.issuer.clipped)'")
        }
        authorization = try Self.endpoint(document.authorizationEndpoint, of: issuer)
        token = try Self.endpoint(document.tokenEndpoint, of: issuer)
        keys = try Self.endpoint(document.jwksURI, of: issuer)
        // The default of the standard.
        let methods = document.authenticationMethods ?? ["client_secret_basic"]
        takesSecretInForm = !methods.contains { $0.equalsUTF8("client_secret_basic") }
        guard !takesSecretInForm || methods.contains(where: { $0.equalsUTF8("client_secret_post") }) else {
            throw IdentityProviderError(.unavailable, "it takes neither client_secret_basic nor client_secret_post")
        }
    }

    /// Only a provider on this machine may have addresses without TLS.
    private static func endpoint(_ text: String, of issuer: SecureURL) throws(IdentityProviderError) -> SecureURL {
        guard let url = SecureURL(text), !url.isPlain || issuer.isPlain else {
            throw IdentityProviderError(.unavailable, "its configuration has the address '\(text.clipped)', which is not one of https")
        }
        return url
    }
}
