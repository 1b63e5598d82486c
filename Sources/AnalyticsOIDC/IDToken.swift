internal import AnalyticsCore
internal import JWTKit

/// What a token must say.
struct ExpectedToken: Sendable {
    var issuer: String
    /// The audience.
    var clientID: String
    var nonce: String
    var now: Timestamp
}

/// What the provider says of a person (OpenID Connect Core, section 2), after its signature was verified.
struct IDToken: JWTPayload {
    var iss: String
    var sub: String
    var aud: Audience
    var azp: String?
    /// Seconds since 1970, as the other times.
    var exp: Double
    var iat: Double
    var nbf: Double?
    var nonce: String?
    var email: String?
    /// Some providers write it as a text.
    var isVerified: BoolClaim?

    enum CodingKeys: String, CodingKey {
        case iss, sub, aud, azp, exp, iat, nbf, nonce, email
        case isVerified = "email_verified"
    }

    /// One audience, or a list. JWTKit's type ends the process if the list is empty.
    struct Audience: Codable, Sendable {
        var values: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(String.self) {
                values = [value]
            } else {
                values = try container.decode([String].self)
            }
        }
    }

    /// How much the clocks may differ.
    private static let skew = 300.0
    /// Of no earlier attempt, which the browser has forgotten.
    private static let oldest = Double(ProviderAttempt.lifetime) + skew

    /// - Parameter key: The only one with which the token may be signed, and with its only algorithm.
    init(_ token: String, signedBy key: JWK) async throws(IdentityProviderError) {
        do {
            self = try await JWTKeyCollection().add(jwk: key).verify(token, as: IDToken.self)
        } catch {
            throw IdentityProviderError(.refused, "its token is not signed with its key, or has no claims of an ID token")
        }
    }

    /// ``identity(_:)`` checks the claims.
    func verify(using algorithm: some JWTAlgorithm) {}

    /// Checks everything that section 3.1.3.7 asks for, and that the provider has verified the address.
    func identity(_ expected: ExpectedToken) throws(IdentityProviderError) -> ProvidedIdentity {
        func check(_ isRight: Bool, _ what: String) throws(IdentityProviderError) {
            guard isRight else { throw IdentityProviderError(.refused, "its token \(what)") }
        }
        let now = Double(expected.now.milliseconds) / 1_000
        try check(iss.equalsUTF8(expected.issuer), "is of the issuer '\(iss.clipped)'")
        try check(aud.values.contains { $0.equalsUTF8(expected.clientID) }, "is for another client")
        try check(azp?.equalsUTF8(expected.clientID) ?? (aud.values.count == 1), "was issued to another client")
        try check(exp > now - Self.skew, "has expired; compare the clocks")
        try check(iat < now + Self.skew && nbf ?? iat < now + Self.skew, "is of a later time; compare the clocks")
        try check(iat > now - Self.oldest, "was issued before the sign-in began; compare the clocks")
        try check(nonce?.equalsUTF8(expected.nonce) == true, "is of another attempt to sign in")
        let identity = ProviderIdentity(issuer: iss, subject: sub)
        try check(identity.isValid, "has a subject that is empty, too long, or has control characters")
        guard let email = email.flatMap({ EmailAddress($0) }), isVerified?.value == true else {
            throw IdentityProviderError(.unverified, "its token has no address that is verified (email, email_verified)")
        }
        return ProvidedIdentity(identity, email: email)
    }
}
