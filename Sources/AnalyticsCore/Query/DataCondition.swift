public import AnalyticsJSON

/// `data.<path>=value`: one of the values is found at the path.
///
/// The path goes from key to key. An array on the path or at its end matches if one of its elements does (one level of arrays per
/// step, no indexes).
/// A query's value is text. It equals a string of that text, and also the number, boolean or null with that spelling (`42` equals
/// `42`, `42.0` and `"42"`).
public struct DataCondition: Sendable, Hashable {
    /// Keys from the top level of `data`. Never empty; no key is empty or starts with `$`.
    public var path: [String]
    public var values: [String]

    public init(path: [String], values: [String]) {
        self.path = path
        self.values = values
    }

    /// Maximum number of keys of a path that has a numeric key, and of a path that has none. MongoDB also reads a numeric key as an array
    /// index; the query that excludes this doubles with each key. Without a numeric key, a path is as deep as an event may be.
    public static let maximumKeysWithNumber = 4
    public static let maximumKeys = EventLimits.maximumDepth - 1

    /// Whether a key of the path consists of digits.
    public var hasNumber: Bool { path.contains { key in key.utf8.allSatisfy { (0x30...0x39).contains($0) } } }

    public var isTooLong: Bool { path.count > (hasNumber ? Self.maximumKeysWithNumber : Self.maximumKeys) }

    /// Every JSON scalar that equals the text: the string, and the number, boolean or null with that spelling.
    public static func scalars(of text: String) -> [JSONScalar] {
        var scalars: [JSONScalar] = [.string(text)]
        switch text {
        case "true": scalars.append(.boolean(true))
        case "false": scalars.append(.boolean(false))
        case "null": scalars.append(.null)
        default:
            if let number = number(text) { scalars.append(number) }
        }
        return scalars
    }

    /// Int64 and Double accept more than JSON does ("+1", "01", "1.", "0x1p3", "nan"); only JSON's spelling counts.
    private static func number(_ text: String) -> JSONScalar? {
        var digits = text.utf8[...]
        if digits.first == UInt8(ascii: "-") { digits.removeFirst() }
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        let whole = digits.prefix(while: isDigit)
        guard !whole.isEmpty, whole.count == 1 || whole.first != UInt8(ascii: "0") else { return nil }
        let rest = digits.dropFirst(whole.count)
        if rest.isEmpty, let integer = Int64(text) { return .integer(integer) }
        guard rest.allSatisfy({ isDigit($0) || ".eE+-".utf8.contains($0) }),
            rest.first != UInt8(ascii: ".") || rest.dropFirst().first.map(isDigit) == true,
            let double = Double(text), double.isFinite
        else { return nil }
        return .double(double)
    }
}
