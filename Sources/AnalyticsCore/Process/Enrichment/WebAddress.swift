internal import FoundationEssentials

/// The parts of a URL that enrichment stores.
struct WebAddress: Equatable {
    /// Lower case, without port.
    var host: String
    /// At least `/`.
    var path: String
    /// The first value of each name, percent-decoded.
    var query: [BytewiseString: String]

    /// `nil` if it is not an absolute URL with a host.
    init?(_ text: String) {
        guard text.utf8.count <= 8_192, var components = URLComponents(string: text), components.scheme != nil, let host = components.host,
            !host.isEmpty
        else { return nil }
        self.host = host.lowercased()  // text: a host may have letters beyond ASCII
        path = components.path.isEmpty ? "/" : components.path
        query = [:]
        // Forms encode a space as "+", which URLComponents does not decode. A literal plus sign is written %2B.
        components.percentEncodedQuery = components.percentEncodedQuery.map {
            $0.splitUTF8("+", omittingEmptySubsequences: false).joined(separator: "%20")
        }
        for item in components.queryItems ?? [] {
            let name = BytewiseString(item.name)
            if query[name] == nil { query[name] = item.value ?? "" }
        }
    }
}
