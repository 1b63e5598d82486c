/// A person as an OpenID provider names them.
public struct ProviderIdentity: Sendable, Codable {
    public let issuer: String
    public let subject: String

    /// In bytes. OpenID Connect Core allows a subject of 255 ASCII characters.
    public static let longest = 255

    public init(issuer: String, subject: String) {
        self.issuer = issuer
        self.subject = subject
    }

    /// Whether it can be stored with an account.
    public var isValid: Bool { [issuer, subject].allSatisfy { (1...Self.longest).contains($0.utf8.count) && !FieldRules.hasControls($0) } }
}

extension ProviderIdentity: Equatable {
    /// Compares bytes (OpenID Connect Core, section 2).
    public static func == (a: ProviderIdentity, b: ProviderIdentity) -> Bool {
        a.issuer.equalsUTF8(b.issuer) && a.subject.equalsUTF8(b.subject)
    }
}
