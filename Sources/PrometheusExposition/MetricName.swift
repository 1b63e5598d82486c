/// Names that Prometheus allows and its linter (`promtool check metrics`) recommends.
enum MetricName {
    /// A valid metric name: `http.server.requestCount` becomes `http_server_request_count`.
    ///
    /// Colons are valid but reserved for recording rules; camel case is valid but discouraged. Both are replaced.
    static func metric(_ label: String) -> String {
        identifier(label, fallback: "unnamed")
    }

    /// A valid label name. Names with two leading underscores are reserved for Prometheus (`__name__`), so only one underscore is kept.
    static func label(_ label: String) -> String {
        var name = Substring(identifier(label, fallback: "label"))
        while name.utf8.starts(with: "__".utf8) { name.removeFirst() }
        return String(name)
    }

    /// The conventional suffix for a name that is not in the catalogue.
    static func conventional(_ name: String, for instrument: RequestedInstrument) -> String {
        switch instrument {
        case .counter: withSuffix("_total", on: name)
        case .timer: withSuffix("_seconds", on: name)
        case .meter, .gauge, .recorder: name
        }
    }

    private static func withSuffix(_ suffix: String, on name: String) -> String {
        ends(name, with: suffix) ? name : name + suffix
    }

    static func ends(_ name: String, with suffix: String) -> Bool {
        name.utf8.reversed().starts(with: suffix.utf8.reversed())
    }

    private static func identifier(_ text: String, fallback: String) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + 4)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                if let last = bytes.last, isLowercaseOrDigit(last) { bytes.append(UInt8(ascii: "_")) }
                bytes.append(byte | 0x20)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"):
                bytes.append(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if bytes.isEmpty { bytes.append(UInt8(ascii: "_")) }
                bytes.append(byte)
            case 0x80...0xBF:
                // A continuation byte: its character already has an underscore.
                continue
            default:
                bytes.append(UInt8(ascii: "_"))
            }
        }
        return bytes.isEmpty ? fallback : String(decoding: bytes, as: UTF8.self)
    }

    private static func isLowercaseOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// The instrument that a caller of swift-metrics requested. Together with the catalogue it determines the exposed type and name.
enum RequestedInstrument: Hashable {
    case counter
    case meter
    /// A recorder that does not aggregate: it keeps the last value.
    case gauge
    /// A recorder that aggregates into a distribution.
    case recorder
    case timer

    /// The type of an undeclared metric.
    var defaultKind: MetricDescriptor.Kind {
        switch self {
        case .counter: .counter
        case .meter, .gauge: .gauge
        case .recorder, .timer: .histogram
        }
    }

    /// Whether it can feed a metric declared as `kind`.
    func canFeed(_ kind: MetricDescriptor.Kind) -> Bool {
        switch self {
        case .counter: kind == .counter
        case .meter: kind == .gauge
        case .gauge, .recorder: kind == .gauge || kind == .histogram
        case .timer: kind == .histogram
        }
    }
}
