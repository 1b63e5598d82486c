internal import AnalyticsCore
internal import FoundationEssentials
internal import JWTKit

/// How a token is signed. Those without a key of the provider's, `none` and `HS256` and the like, are not among them.
enum SignatureAlgorithm: String, CaseIterable, Sendable {
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"

    init?(name: String) {
        guard let algorithm = Self.allCases.first(where: { $0.rawValue.equalsUTF8(name) }) else { return nil }
        self = algorithm
    }

    /// `nil` for RSA.
    var curve: ECDSACurve? {
        switch self {
        case .es256: .p256
        case .es384: .p384
        case .es512: .p521
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: nil
        }
    }
}

/// The header of a token (RFC 7515, section 4), which is not verified yet. It only selects a key of the provider's.
struct TokenHeader: Sendable, Equatable {
    var algorithm: SignatureAlgorithm
    var keyID: String?

    private struct Members: Decodable {
        var alg: String
        var kid: String?
        var hasExtensions: Bool

        enum CodingKeys: String, CodingKey { case alg, kid, crit }

        init(from decoder: any Decoder) throws {
            let members = try decoder.container(keyedBy: CodingKeys.self)
            alg = try members.decode(String.self, forKey: .alg)
            kid = try members.decodeIfPresent(String.self, forKey: .kid)
            hasExtensions = members.contains(.crit)
        }
    }

    init(of token: String) throws(IdentityProviderError) {
        guard let (first, _) = token.cutUTF8(atFirst: "."), let bytes = Base64URL.decode(first),
            let members = try? JSONDecoder().decode(Members.self, from: Data(bytes))
        else { throw IdentityProviderError(.refused, "its token is no signed JWT") }
        guard !members.hasExtensions else { throw IdentityProviderError(.refused, "its token has extensions that are not known here") }
        guard let algorithm = SignatureAlgorithm(name: members.alg) else {
            throw IdentityProviderError(.refused, "its token has the algorithm '\(members.alg.clipped)', which is not allowed")
        }
        self.algorithm = algorithm
        keyID = members.kid
    }
}

/// The public keys of the provider (RFC 7517, section 5). Pure.
struct KeySet: Sendable {
    private struct Key: Decodable, Sendable {
        var kty: String
        var kid: String?
        var use: String?
        var alg: String?
        var crv: String?
        var n: String?
        var e: String?
        var x: String?
        var y: String?
    }

    /// Keys of kinds that are not known here are left out.
    private struct Entry: Decodable {
        var key: Key?

        init(from decoder: any Decoder) throws { key = try? Key(from: decoder) }
    }

    private struct Document: Decodable {
        var keys: [Entry]
    }

    private let keys: [Key]

    init(_ body: [UInt8]) throws(IdentityProviderError) {
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(body)) else {
            throw IdentityProviderError(.unavailable, "its keys are no JWK set")
        }
        keys = document.keys.compactMap(\.key)
    }

    /// The key with which the token must be signed; `nil` if the provider has none that fits. A token that names no key has to fit only one.
    func key(for header: TokenHeader) -> JWK? {
        let algorithm = header.algorithm
        let fitting = keys.filter { key in
            let isOfKind =
                algorithm.curve.map { key.kty.equalsUTF8("EC") && key.crv?.equalsUTF8($0.rawValue) == true }
                ?? key.kty.equalsUTF8("RSA")
            return isOfKind && key.use?.equalsUTF8("sig") ?? true && key.alg?.equalsUTF8(algorithm.rawValue) ?? true
        }
        let named = header.keyID.map { id in fitting.filter { $0.kid?.equalsUTF8(id) == true } } ?? fitting
        guard let key = named.first, header.keyID != nil || named.count == 1 else { return nil }
        let name = JWK.Algorithm(rawValue: algorithm.rawValue)
        // A collection with one key uses it for every token, whatever key the token names.
        let identifier = JWKIdentifier(string: "key")
        guard let curve = algorithm.curve else { return JWK.rsa(name, identifier: identifier, modulus: key.n, exponent: key.e) }
        return JWK.ecdsa(name, identifier: identifier, x: key.x, y: key.y, curve: curve)
    }
}
