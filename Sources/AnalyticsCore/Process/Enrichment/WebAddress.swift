internal import FoundationEssentials

/// The parts of an http(s) URL that enrichment stores.
struct WebAddress: Equatable {
    /// Lower case, without port.
    var host: String
    /// At least `/`.
    var path: String
    /// The first value of each name, percent-decoded.
    var query: [String: String]

    /// `nil` when it is no absolute URL with a host.
    init?(_ text: String) {
        guard text.utf8.count <= 8_192, let components = URLComponents(string: text), let host = components.host, !host.isEmpty else {
            return nil
        }
        self.host = host.lowercased()
        path = components.path.isEmpty ? "/" : components.path
        query = [:]
        for item in components.queryItems ?? [] where query[item.name] == nil {
            // A form's space is a plus sign, which URLComponents leaves alone.
            query[item.name] = item.value.map { $0.replacing("+", with: " ") } ?? ""
        }
    }
}
