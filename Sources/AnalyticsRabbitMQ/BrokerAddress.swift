import AnalyticsCore

/// Where the broker is and who asks: `amqp://user:password@host:port/vhost`, percent-encoded as
/// https://www.rabbitmq.com/docs/uri-spec has it.
///
/// Missing parts are the broker's own defaults: `guest`, `guest`, 5672, `/`. Unlike that page, `amqp://host/` means the vhost `/` too.
struct BrokerAddress: Sendable, Equatable {
    var host: String
    var port: Int
    var user: String
    var password: String
    var vhost: String

    /// Never repeats the URL in its error: it holds a password.
    init(url: String) throws(BrokerError) {
        guard !url.hasPrefix("amqps://") else {
            throw Self.refused("amqps:// is not supported: use amqp:// on a network you trust, or a TLS proxy beside the service")
        }
        guard url.hasPrefix("amqp://") else { throw Self.refused("it has to begin with amqp://") }
        guard !url.contains(where: { $0 == "?" || $0 == "#" }) else {
            throw Self.refused("nothing may follow the vhost; write ? and # as %3F and %23")
        }
        let parts = url.dropFirst("amqp://".count).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.count == 2 ? parts[1] : ""
        guard !path.contains("/") else { throw Self.refused("a / within the vhost has to be written as %2F") }
        vhost = path.isEmpty ? "/" : try Self.decode(path, "vhost")

        let authority = parts[0]
        let at = authority.lastIndex(of: "@")
        let credentials = authority[..<(at ?? authority.startIndex)].split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        user = at == nil ? "guest" : try Self.decode(credentials.first ?? "", "user")
        password = credentials.count == 2 ? try Self.decode(credentials[1], "password") : "guest"
        (host, port) = try Self.hostAndPort(authority[(at.map { authority.index(after: $0) } ?? authority.startIndex)...])
    }

    private static func hostAndPort(_ text: Substring) throws(BrokerError) -> (String, Int) {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw refused("the ] of the IPv6 address is missing") }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw refused("only a port may follow the host") }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else { throw refused("the host is missing") }
        guard let port else { return (try decode(host, "host"), 5672) }
        guard let number = Int(port), (1...65535).contains(number) else { throw refused("the port has to be between 1 and 65535") }
        return (try decode(host, "host"), number)
    }

    /// C strings go to the library, so a NUL would cut the value short.
    private static func decode(_ text: Substring, _ part: String) throws(BrokerError) -> String {
        var bytes: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Self.hexadecimal), let low = rest.popFirst().flatMap(Self.hexadecimal) else {
                throw refused("the \(part) has a % that two hexadecimal digits do not follow")
            }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0), let decoded = String(validating: bytes, as: UTF8.self) else {
            throw refused("the \(part) is not text")
        }
        return decoded
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init)
    }

    private static func refused(_ reason: String) -> BrokerError {
        BrokerError(.misconfigured, "the address of RabbitMQ is refused: \(reason)")
    }
}
