/// A country by its ISO 3166-1 alpha-2 code, in upper case.
public struct Country: Sendable, Equatable {
    public let code: String

    /// `nil` if it is not a code, and for XX, with which proxies and databases mark an unknown country.
    public init?(_ text: some StringProtocol) {
        let code = text.lowercasedASCII().utf8.map { $0 & 0xDF }
        guard code.count == 2, text.utf8.allSatisfy({ (0x41...0x5A).contains($0 & 0xDF) && $0 < 0x80 }), code != Array("XX".utf8) else {
            return nil
        }
        self.code = String(decoding: code, as: UTF8.self)
    }
}

/// Looks up the countries of addresses. Called per event, so it must not do slow I/O.
public protocol CountryDatabase: Sendable {
    func country(of address: ClientAddress) -> Country?
}
