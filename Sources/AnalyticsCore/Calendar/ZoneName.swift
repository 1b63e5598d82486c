/// The name of a time zone in the IANA database, such as `Europe/Berlin`. A well-formed name may still be unknown.
public struct ZoneName: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    public static let utc = ZoneName(unchecked: "UTC")

    /// Letters, digits, `_`, `-`, `+` and `/`; 1–64 of them, in at most three parts. Other characters are refused, so no path leads out of
    /// the zoneinfo folder.
    public init?(_ text: String) {
        let isAllowed = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isAllowed),
            Self.isAllowed(text.splitUTF8("/", omittingEmptySubsequences: false))
        else { return nil }
        self.text = text
    }

    /// No empty parts: each zone has one spelling. No `posix` and `right` copies: `right` counts leap seconds. No names for the machine's
    /// own setting.
    private static func isAllowed(_ parts: [Substring]) -> Bool {
        parts.count <= 3 && !parts.contains { $0.isEmpty }
            && !["posix", "right", "localtime", "posixrules", "Factory"].contains { parts[0].equalsUTF8($0) }
    }

    private init(unchecked text: String) {
        self.text = text
    }

    public var description: String { text }
}
