/// An address of https, or of http on this machine: secrets that are sent there do not travel in clear text.
public struct SecureURL: Sendable, Equatable {
    public let text: String
    /// Scheme, host and port, as browsers write them.
    public let origin: String
    /// What follows the origin: a path, a query, or nothing.
    public let rest: String

    private static let longest = 2_000

    /// `nil` for any other address, and for one with a user, a password or a fragment.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.longest, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"#<>\\^`{|}".utf8.contains($0) }),
            let scheme = ["https://", "http://"].first(where: { text.lowercasedASCII().starts(withUTF8: $0) })
        else { return nil }
        let authority = text.utf8.dropFirst(scheme.utf8.count).prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        guard let origin = Projects.origin(scheme + String(decoding: authority, as: UTF8.self)) else { return nil }
        self.text = text
        self.origin = origin
        rest = text.trimmingUTF8(first: scheme.utf8.count + authority.count)
        guard !isPlain || Self.isLoopback(origin.trimmingUTF8(first: scheme.utf8.count)) else { return nil }
    }

    /// Whether it is of http.
    public var isPlain: Bool { origin.starts(withUTF8: "http://") }

    /// - Parameter authority: A host, perhaps with a port.
    private static func isLoopback(_ authority: String) -> Bool {
        if authority.starts(withUTF8: "["), let (address, _) = authority.cutUTF8(atFirst: "]") {
            return ClientAddress(address.trimmingUTF8(first: 1))?.isLoopback == true
        }
        let host = authority.cutUTF8(atFirst: ":").map { String($0.before) } ?? authority
        // RFC 6761, section 6.3.
        return host.equalsUTF8("localhost") || host.ends(withUTF8: ".localhost") || ClientAddress(host)?.isLoopback == true
    }
}
