public import AnalyticsCore

/// The provider, and how this service is registered there.
public struct OpenIDSettings: Sendable {
    /// The issuer of tokens, as the provider writes it.
    public var issuer: SecureURL
    public var clientID: String
    public var clientSecret: String
    /// Where browsers come back to.
    public var redirectURI: String

    /// - Parameter publicURL: The origin under which browsers call this service.
    public init(issuer: SecureURL, clientID: String, clientSecret: String, publicURL: SecureURL) {
        self.issuer = issuer
        self.clientID = clientID
        self.clientSecret = clientSecret
        redirectURI = publicURL.origin + "/api/v1/auth/oidc/callback"
    }
}
