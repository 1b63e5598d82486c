/// The text of an invitation or a reset, whose bearer sets the password of an account: `evi_`, 32 random characters and 6 of checksum.
/// Only its ``KeyDigest`` is stored.
public struct InvitationToken: Sendable, Equatable {
    public let text: String

    private static let prefix = "evi_"

    /// A new token.
    public init() {
        text = CredentialText.makeToken(Self.prefix)
    }

    /// `nil` if no such token was ever made.
    public init?(_ text: String) {
        guard CredentialText.isToken(text, Self.prefix) else { return nil }
        self.text = text
    }

    public var digest: KeyDigest { KeyDigest(of: text) }
}
