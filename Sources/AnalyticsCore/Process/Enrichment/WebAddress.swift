internal import FoundationEssentials

/// The parts of a URL that enrichment stores.
struct WebAddress: Equatable {
    /// Lower case, without port.
    var host: String
    /// At least `/`.
    var path: String
    /// The first value of each name, percent-decoded.
    var query: [String: String]

    /// `nil` when it is no absolute URL with a host.
    init?(_ text: String) {
        guard text.utf8.count <= 8_192, var components = URLComponents(string: text), components.scheme != nil, let host = components.host,
            !host.isEmpty
        else { return nil }
        self.host = host.lowercased()
        path = components.path.isEmpty ? "/" : components.path
        query = [:]
        // A form's space is a plus sign, which URLComponents leaves alone; one that is meant is written %2B.
        components.percentEncodedQuery = components.percentEncodedQuery?.replacing("+", with: "%20")
        for item in components.queryItems ?? [] where query[item.name] == nil { query[item.name] = item.value ?? "" }
    }
}
