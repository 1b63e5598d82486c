import AnalyticsCore

/// The broker's address and credentials: `amqp://user:password@host:port/vhost`, percent-encoded as in
/// https://www.rabbitmq.com/docs/uri-spec. With `amqps` also a query: ``BrokerTLS``.
///
/// Missing parts have the broker's defaults: `guest`, `guest`, 5672 (with TLS 5671), `/`. Unlike on that page, `amqp://host/` also means the
/// vhost `/`.
struct BrokerAddress: Sendable, Equatable {
    var host: String
    var port: Int
    var user: String
    var password: String
    var vhost: String
    /// `nil` with `amqp`.
    var tls: BrokerTLS?

    /// Errors never contain the URL, because it holds a password.
    init(url: String) throws(BrokerError) {
        guard let scheme = ["amqp://", "amqps://"].first(where: { url.starts(withUTF8: $0) }) else {
            throw Self.refused("it has to begin with amqp:// or amqps://")
        }
        let isSecure = scheme.equalsUTF8("amqps://")
        let cut = url.cutUTF8(atFirst: "?")
        guard isSecure || cut == nil, !url.containsUTF8("#") else {
            throw Self.refused("nothing may follow the vhost, except a query with amqps://; write ? and # as %3F and %23")
        }
        if isSecure { tls = try BrokerTLS(query: cut?.after ?? "") }
        let parts = (cut?.before ?? url[...]).trimmingUTF8(first: scheme.utf8.count)
            .splitUTF8("/", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.count == 2 ? parts[1] : ""
        guard !path.containsUTF8("/") else { throw Self.refused("a / within the vhost has to be written as %2F") }
        vhost = path.isEmpty ? "/" : try Self.decode(path, "vhost")

        let authority = parts[0]
        let named = authority.cutUTF8(atLast: "@")
        let credentials = named?.before.splitUTF8(":", maxSplits: 1, omittingEmptySubsequences: false) ?? []
        user = named == nil ? "guest" : try Self.decode(credentials.first ?? "", "user")
        password = credentials.count == 2 ? try Self.decode(credentials[1], "password") : "guest"
        (host, port) = try Self.hostAndPort(named?.after ?? authority, standard: isSecure ? 5671 : 5672)
    }

    private static func hostAndPort(_ text: Substring, standard: Int) throws(BrokerError) -> (String, Int) {
        var host = text
        var port: Substring?
        if text.starts(withUTF8: "[") {
            guard let (address, rest) = text.cutUTF8(atFirst: "]") else { throw refused("the ] of the IPv6 address is missing") }
            host = address.trimmingUTF8(first: 1)[...]
            guard rest.isEmpty || rest.starts(withUTF8: ":") else { throw refused("only a port may follow the host") }
            port = rest.isEmpty ? nil : rest.trimmingUTF8(first: 1)[...]
        } else if let (before, after) = text.cutUTF8(atFirst: ":") {
            (host, port) = (before, after)
        }
        guard !host.isEmpty else { throw refused("the host is missing") }
        guard let port else { return (try decode(host, "host"), standard) }
        guard let number = Int(port), (1...65535).contains(number) else { throw refused("the port has to be between 1 and 65535") }
        return (try decode(host, "host"), number)
    }

    /// Refuses NUL, because the library takes C strings and would truncate the value.
    static func decode(_ text: Substring, _ part: String) throws(BrokerError) -> String {
        guard let decoded = PercentEncoding.decode(text, plusIsSpace: false), !decoded.containsUTF8("\0") else {
            throw refused("the \(part) is not percent-encoded UTF-8 without NUL: a % must be followed by two hexadecimal digits")
        }
        return decoded
    }

    static func refused(_ reason: String) -> BrokerError {
        BrokerError(.misconfigured, "the address of RabbitMQ is refused: \(reason)")
    }
}
