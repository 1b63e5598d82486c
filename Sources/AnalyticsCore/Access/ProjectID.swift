/// The name of a project: 1 to 64 lower-case ASCII letters, digits, `-` and `_`. The first is a letter or a digit.
///
/// Authentication decides the project of a request (``Principal``); the request itself cannot. Names from a wire or a store are validated
/// here. As names are ASCII, equal names are equal bytes.
public struct ProjectID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let name: String

    public static let longest = 64

    /// The first project of every store: that of callers without a key.
    public static let first = ProjectID("default")!

    /// `nil` if the name does not have this form.
    public init?(_ name: String) {
        self.init(any: name)
    }

    public init?(_ name: Substring) {
        self.init(any: name)
    }

    private init?(any name: some StringProtocol) {
        let bytes = name.utf8
        guard (1...Self.longest).contains(bytes.count), bytes.allSatisfy(Self.isAllowed), bytes.first.map(Self.mayBegin) == true else {
            return nil
        }
        self.name = String(name)
    }

    public static func < (a: ProjectID, b: ProjectID) -> Bool { a.name.utf8.lexicographicallyPrecedes(b.name.utf8) }

    public var description: String { name }

    private static func mayBegin(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        mayBegin(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}
