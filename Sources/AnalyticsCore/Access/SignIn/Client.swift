/// Where a request to sign in comes from.
public struct Client: Sendable, Equatable {
    public let address: String
    /// `User-Agent`, in ASCII; at most ``longestAgent`` bytes.
    public let agent: String

    public static let longestAgent = 200

    /// A longer agent is clipped.
    public init(address: String, agent: String) {
        self.address = address
        self.agent = String(decoding: agent.utf8.lazy.filter { (0x20...0x7E).contains($0) }.prefix(Self.longestAgent), as: UTF8.self)
    }
}
