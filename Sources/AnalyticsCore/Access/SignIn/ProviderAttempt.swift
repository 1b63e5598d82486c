internal import Crypto
internal import FoundationEssentials

/// An attempt to sign in with a provider, which the browser keeps in a cookie until it comes back. So no process has to remember it, and
/// another one may complete it.
///
/// What goes to the provider follows from a random secret that only the cookie has.
public struct ProviderAttempt: Sendable, Equatable {
    private let secret: [UInt8]
    public let returnPath: ReturnPath

    static let secretBytes = 32
    /// Seconds that a browser keeps it: the time to sign in at the provider.
    public static let lifetime = 600

    init(secret: [UInt8], returnPath: ReturnPath) {
        self.secret = secret
        self.returnPath = returnPath
    }

    /// The value of the cookie.
    public var text: String { "\(Base64URL.encode(secret)).\(Base64URL.encode(Array(returnPath.text.utf8)))" }

    /// `nil` unless the text has the form of ``text``.
    public init?(_ text: String) {
        guard text.utf8.count <= 2 * ReturnPath.longest, let (first, second) = text.cutUTF8(atFirst: "."),
            let secret = Base64URL.decode(first), secret.count == Self.secretBytes,
            let path = Base64URL.decode(second).flatMap({ String(validating: $0, as: UTF8.self) }),
            let returnPath = ReturnPath(path)
        else { return nil }
        self.init(secret: secret, returnPath: returnPath)
    }

    var state: String { derived("state") }
    var nonce: String { derived("nonce") }
    /// PKCE's (RFC 7636). Only its SHA-256 goes through the browser.
    var verifier: String { derived("verifier") }
    var challenge: String { Base64URL.encode(Array(SHA256.hash(data: Array(verifier.utf8)))) }

    /// Whether the state is this attempt's. Takes the same time wherever they differ.
    public func admits(state: String) -> Bool {
        guard let code = Base64URL.decode(state) else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Array("state".utf8), using: SymmetricKey(data: secret))
    }

    private func derived(_ purpose: String) -> String {
        Base64URL.encode(Array(HMAC<SHA256>.authenticationCode(for: Array(purpose.utf8), using: SymmetricKey(data: secret))))
    }
}
