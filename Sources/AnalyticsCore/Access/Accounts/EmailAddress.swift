/// The address of an account. In ASCII and lower case, so equal addresses are equal bytes.
public struct EmailAddress: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    /// In bytes (RFC 5321, section 4.5.3.1).
    public static let longest = 254
    private static let longestLocalPart = 64
    private static let longestLabel = 63

    /// `nil` unless the text, without the spaces around it, is a local part without quotes (RFC 5322: `atext` and dots), `@`, and
    /// `localhost` or a domain with a dot. Domains in other scripts are written in ASCII (`xn--…`).
    public init?(_ text: String) {
        var bytes = Array(text.utf8)[...].drop(while: Self.isSpace)
        while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
        guard bytes.count <= Self.longest else { return nil }
        let address = String(decoding: bytes, as: UTF8.self).lowercasedASCII()
        guard let (local, domain) = address.cutUTF8(atFirst: "@"), (1...Self.longestLocalPart).contains(local.utf8.count),
            local.utf8.allSatisfy(Self.isOfLocalPart), Self.isDomain(domain)
        else { return nil }
        self.text = address
    }

    public var description: String { text }

    private static func isDomain(_ text: Substring) -> Bool {
        let labels = text.splitUTF8(".", omittingEmptySubsequences: false)
        return labels.count > 1 ? labels.allSatisfy(isLabel) : text.equalsUTF8("localhost")
    }

    private static func isLabel(_ text: Substring) -> Bool {
        (1...longestLabel).contains(text.utf8.count) && text.utf8.allSatisfy(isOfLabel) && text.utf8.first != UInt8(ascii: "-")
            && text.utf8.last != UInt8(ascii: "-")
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (0x09...0x0D).contains(byte) }

    private static func isOfLabel(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false
        }
    }

    private static func isOfLocalPart(_ byte: UInt8) -> Bool { isOfLabel(byte) || "!#$%&'*+/=?^_`{|}~.".utf8.contains(byte) }
}
