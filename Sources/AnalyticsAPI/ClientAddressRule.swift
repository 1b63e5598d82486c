internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// Decides the client address of a request, its country, and how much of the address is kept.
struct ClientAddressRule: Sendable {
    var keepsWhole: Bool
    var trustedProxies: Int
    /// The header in which a trusted proxy sends the country.
    var countryHeader: HTTPField.Name?
    var countries: (any CountryDatabase)?

    /// Returns the origin that is stored with the events, and the whole address, which is never stored.
    func origin(peer: String?, headers: HTTPFields) -> (origin: RequestOrigin, address: ClientAddress?) {
        let address = whole(peer: peer, headers: headers)
        let origin = RequestOrigin(
            address: address.map { keepsWhole ? $0.text : $0.truncated },
            userAgent: headers[.userAgent].map { String($0.unicodeScalars.prefix(512)) },
            country: named(headers) ?? address.flatMap { countries?.country(of: $0) })
        return (origin, address)
    }

    /// The peer whose memory limit the request counts against.
    func peer(of request: Request, _ context: APIRequestContext) -> Peer {
        Peer(whole(peer: context.peerAddress, headers: request.headers))
    }

    /// The client of a request to sign in.
    func client(of request: Request, _ context: APIRequestContext) -> Client {
        Client(address: text(peer: context.peerAddress, headers: request.headers), agent: request.headers[.userAgent] ?? "")
    }

    /// The whole address as text; empty if it is unknown.
    func text(peer: String?, headers: HTTPFields) -> String {
        guard trustedProxies > 0 else { return peer ?? "" }
        return whole(peer: peer, headers: headers)?.text ?? ""
    }

    private func whole(peer: String?, headers: HTTPFields) -> ClientAddress? {
        forwarded(headers[values: .xForwardedFor]) ?? peer.flatMap(ClientAddress.init)
    }

    /// A proxy replaces the header that the client sent. If the header occurs twice, a proxy did not, and the value is not trusted.
    private func named(_ headers: HTTPFields) -> Country? {
        guard trustedProxies > 0, let countryHeader else { return nil }
        let values = headers[values: countryHeader]
        return values.count == 1 ? Country(values[0]) : nil
    }

    /// Every proxy appends the address that its request came from. So one entry at the end is written by each trusted proxy, and the first
    /// of these is the client's, in whatever network it is. The client may have written all entries before it.
    private func forwarded(_ values: [String]) -> ClientAddress? {
        let hop = values.flatMap { $0.splitUTF8(",") }.suffix(trustedProxies).first
        return hop.flatMap { ClientAddress(Self.withoutPort($0.removingUTF8(" ", "\t"))) }
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
        trustedProxies = settings.trustedProxies
        countryHeader = settings.countryHeader.flatMap { HTTPField.Name($0) }
        countries = settings.countries
    }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
}
