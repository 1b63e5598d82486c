/// The name of a time zone in the IANA database, such as `Europe/Berlin`. That it is well formed does not mean that it exists.
public struct ZoneName: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    public static let utc = ZoneName(unchecked: "UTC")

    /// Letters, digits, `_`, `-`, `+` and `/`; 1–64 of them. Nothing else can be in a name, and so none leads out of the folder of zones.
    public init?(_ text: String) {
        let isAllowed = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isAllowed), !text.starts(withUTF8: "/"), !text.ends(withUTF8: "/")
        else { return nil }
        self.text = text
    }

    private init(unchecked text: String) {
        self.text = text
    }

    public var description: String { text }
}
