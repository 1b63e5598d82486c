/// A provider of OpenID Connect, which knows who people are.
public protocol IdentityProvider: Sendable {
    /// The address to which a browser goes to sign in there.
    ///
    /// - Parameters:
    ///   - state: Comes back with the browser.
    ///   - nonce: Comes back in the token.
    ///   - challenge: The SHA-256 of the verifier, as PKCE sends it (RFC 7636, S256).
    func authorization(state: String, nonce: String, challenge: String) async throws(IdentityProviderError) -> String

    /// The person who has signed in there.
    ///
    /// - Parameter code: What the browser came back with. It works once.
    func identity(code: String, verifier: String, nonce: String) async throws(IdentityProviderError) -> ProvidedIdentity
}

/// A person whom a provider has signed in.
public struct ProvidedIdentity: Sendable, Equatable {
    public let identity: ProviderIdentity
    /// The provider has verified that it is the person's.
    public let email: EmailAddress

    public init(_ identity: ProviderIdentity, email: EmailAddress) {
        self.identity = identity
        self.email = email
    }
}

/// Why a provider did not say who somebody is.
public struct IdentityProviderError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// It is down, too slow, or does not answer as a provider: try later.
        case unavailable
        /// Its answer signs nobody in: begin again.
        case refused
        /// It has signed somebody in, and has not verified the address.
        case unverified
    }

    public let code: Code
    /// For the log. Contains no secret, code or token.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "sign-in provider \(code.rawValue): \(message)" }
}
