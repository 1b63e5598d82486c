internal import AnalyticsCore
internal import HTTPTypes

/// Decides which address a request came from, and how much of it is kept.
struct ClientAddressRule {
    var keepsWhole: Bool
    var trustsProxy: Bool

    func address(peer: String?, headers: HTTPFields) -> String? {
        let forwarded = trustsProxy ? forwarded(headers[values: .xForwardedFor]) : nil
        return (forwarded ?? peer.flatMap(ClientAddress.init)).map { keepsWhole ? $0.text : $0.truncated }
    }

    /// Every proxy appends the address that it was asked from, so the right end is what our own proxies wrote: the first from the right that
    /// is not a private network's is the client. Where all are private, the one that the nearest proxy saw.
    private func forwarded(_ values: [String]) -> ClientAddress? {
        let hops = values.flatMap { $0.split(separator: ",") }.map { Self.withoutPort($0.filter { $0 != " " && $0 != "\t" }) }
        // The limit is on what is looked at: a header may hold thousands.
        let known = hops.suffix(32).compactMap(ClientAddress.init)
        return known.last { !$0.isPrivate } ?? known.last
    }

    private static func withoutPort(_ hop: String) -> String {
        if hop.hasPrefix("["), let end = hop.firstIndex(of: "]") { return String(hop[hop.index(after: hop.startIndex)..<end]) }
        if hop.contains("."), hop.filter({ $0 == ":" }).count == 1 { return String(hop.prefix { $0 != ":" }) }
        return hop
    }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
}
