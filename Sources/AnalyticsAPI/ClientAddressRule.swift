internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// Decides which address a request came from, in which country that is, and how much of it is kept.
struct ClientAddressRule: Sendable {
    var keepsWhole: Bool
    var trustsProxy: Bool
    /// In which a trusted proxy says the country.
    var countryHeader: HTTPField.Name?
    var countries: (any CountryDatabase)?

    /// What of it goes on with the events. `address`: whole, and goes nowhere.
    func origin(peer: String?, headers: HTTPFields) -> (origin: RequestOrigin, address: ClientAddress?) {
        let address = whole(peer: peer, headers: headers)
        let origin = RequestOrigin(
            address: address.map { keepsWhole ? $0.text : $0.truncated },
            userAgent: headers[.userAgent].map { String($0.unicodeScalars.prefix(512)) },
            country: named(headers) ?? address.flatMap { countries?.country(of: $0) })
        return (origin, address)
    }

    /// Whose share of the service's memory a request takes from.
    func peer(of request: Request, _ context: APIRequestContext) -> Peer {
        Peer(whole(peer: context.peerAddress, headers: request.headers))
    }

    private func whole(peer: String?, headers: HTTPFields) -> ClientAddress? {
        let forwarded = trustsProxy ? forwarded(headers[values: .xForwardedFor]) : nil
        return forwarded ?? peer.flatMap(ClientAddress.init)
    }

    /// A proxy sets the header in the place of what the client has sent: where it is there twice, somebody does not.
    private func named(_ headers: HTTPFields) -> Country? {
        guard trustsProxy, let countryHeader else { return nil }
        let values = headers[values: countryHeader]
        return values.count == 1 ? Country(values[0]) : nil
    }

    /// Every proxy appends the address that it was asked from, so the right end is what our own proxies wrote: the first from the right that
    /// is not a private network's is the client. Where all are private, the one that the nearest proxy saw.
    private func forwarded(_ values: [String]) -> ClientAddress? {
        let hops = values.flatMap { $0.splitUTF8(",") }.map { Self.withoutPort($0.removingUTF8(" ", "\t")) }
        // The limit is on what is looked at: a header may hold thousands.
        let known = hops.suffix(32).compactMap(ClientAddress.init)
        return known.last { !$0.isPrivate } ?? known.last
    }

    private static func withoutPort(_ hop: String) -> String {
        if hop.starts(withUTF8: "["), let (address, _) = hop.cutUTF8(atFirst: "]") { return address.trimmingUTF8(first: 1) }
        let parts = hop.splitUTF8(":", omittingEmptySubsequences: false)
        return hop.containsUTF8(".") && parts.count == 2 ? String(parts[0]) : hop
    }
}

extension ClientAddressRule {
    init(_ settings: APISettings) {
        keepsWhole = settings.keepClientAddress
        trustsProxy = settings.trustProxy
        countryHeader = settings.countryHeader.flatMap { HTTPField.Name($0) }
        countries = settings.countries
    }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
}
