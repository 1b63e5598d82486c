/// A country by its two letters (ISO 3166-1 alpha-2), in upper case.
public struct Country: Sendable, Equatable {
    public let code: String

    /// `nil` for what is no such code, and for XX, by which proxies and databases say that they do not know.
    public init?(_ text: some StringProtocol) {
        let code = text.lowercasedASCII().utf8.map { $0 & 0xDF }
        guard code.count == 2, text.utf8.allSatisfy({ (0x41...0x5A).contains($0 & 0xDF) && $0 < 0x80 }), code != Array("XX".utf8) else {
            return nil
        }
        self.code = String(decoding: code, as: UTF8.self)
    }
}

/// Knows in which countries addresses are. Asked on the path of each event: a look-up takes no I/O to speak of.
public protocol CountryDatabase: Sendable {
    func country(of address: ClientAddress) -> Country?
}
