internal import AnalyticsCore

/// A node of a Graphite name: an encoded project, type, source or page. Bytes with a meaning in Graphite or Grafana become `~` and two
/// uppercase hexadecimal digits, so different texts have different nodes.
///
/// Not `%2E`: Grafana's browser code sends the form for `/metrics/find` without percent-encoding it, so a `%2E` arrives decoded. `~` is
/// unreserved in forms and URLs, and Grafana's query editor accepts it in a name.
enum GraphiteNode {
    private static let escape = UInt8(ascii: "~")
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// ASCII letters and digits, `_`, `-`, `:` and non-ASCII bytes are not escaped.
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ":"), 0x80...:
            true
        default: false
        }
    }

    static func encode(_ text: String) -> String {
        if text.utf8.allSatisfy(isPlain) { return text }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + 16)
        for byte in text.utf8 {
            if isPlain(byte) { bytes.append(byte) } else { bytes += [escape, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The character of an escape's two digits; `nil` for digits that ``encode(_:)`` never writes.
    static func character(_ high: Unicode.Scalar, _ low: Unicode.Scalar) -> Unicode.Scalar? {
        guard high.isASCII, low.isASCII, let high = digits.firstIndex(of: UInt8(ascii: high)),
            let low = digits.firstIndex(of: UInt8(ascii: low)), high < 8
        else { return nil }
        return Unicode.Scalar(UInt8(high * 16 + low))
    }
}

/// Second nodes that are not types. No encoded type looks like one: after `~`, an encoded type has digits or capitals.
enum GraphiteReservedNode: String, CaseIterable {
    /// Distinct users of all events.
    case users = "~users"
    /// Events by the page that enrichment takes from their URL.
    case pages = "~pages"
    /// Events by `data.path`, as `/stats` counts them.
    case paths = "~paths"
    /// Events of types without events before the range.
    case new = "~new"

    var property: PropertyPath? {
        switch self {
        case .pages: try? PropertyPath("context.page.path")
        case .paths: try? PropertyPath("data.path")
        case .users, .new: nil
        }
    }

    init?(node: some StringProtocol) {
        guard let node = Self.allCases.first(where: { $0.rawValue.equalsUTF8(node) }) else { return nil }
        self = node
    }
}
