/// Where a browser goes after a sign-in: a path of this service. No link leads through the service to another site.
public struct ReturnPath: Sendable, Equatable {
    public let text: String

    /// In bytes. It has room in a cookie.
    public static let longest = 1_000
    public static let standard = ReturnPath("/docs")!

    /// `nil` unless it begins with `/`, is printable ASCII, and has no `//` and no backslash: browsers read `//x`, `/\x` and `/` with a tab
    /// before `/x` as another host.
    public init?(_ text: String) {
        guard text.starts(withUTF8: "/"), text.utf8.count <= Self.longest,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }),
            text.utf8.firstRange(of: "//".utf8) == nil
        else { return nil }
        self.text = text
    }
}
