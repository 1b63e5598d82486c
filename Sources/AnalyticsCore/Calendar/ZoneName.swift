/// The name of a time zone in the IANA database, such as `Europe/Berlin`. That it is well formed does not mean that it exists.
public struct ZoneName: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    public static let utc = ZoneName(unchecked: "UTC")

    /// Letters, digits, `_`, `-`, `+` and `/`; 1–64 of them, in at most three parts. Nothing else can be in a name, and so none
    /// leads out of the folder of zones.
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

    /// No empty part, so that a zone has one spelling; none of the database's second copies, of which one counts leap seconds; and not what the
    /// machine is set to.
    private static func isAllowed(_ parts: [Substring]) -> Bool {
        parts.count <= 3 && !parts.contains { $0.isEmpty }
            && !["posix", "right", "localtime", "posixrules", "Factory"].contains { parts[0].equalsUTF8($0) }
    }

    private init(unchecked text: String) {
        self.text = text
    }

    public var description: String { text }
}
