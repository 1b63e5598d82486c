public import AnalyticsJSON

/// The key of a group in an answer: a text, a number, a boolean or null. Texts compare by bytes, numbers by value.
public enum GroupKey: Sendable, Hashable, Comparable {
    case null
    case boolean(Bool)
    case number(Number)
    case text(BytewiseString)

    public enum Number: Sendable, Hashable, Comparable {
        case integer(Int64)
        /// A value that equals no integer.
        case double(Double)

        public static func < (a: Self, b: Self) -> Bool {
            switch (a, b) {
            case (.integer(let a), .integer(let b)): a < b
            case (.double(let a), .double(let b)): a < b
            // A double that equals no 64-bit integer is outside their range, or has a fraction and is below 2⁵³.
            case (.integer(let a), .double(let b)): b >= 0x1p63 || (b >= -0x1p63 && Double(a) < b)
            case (.double(let a), .integer(let b)): a < -0x1p63 || (a < 0x1p63 && a < Double(b))
            }
        }
    }

    public init(_ text: String) {
        self = .text(BytewiseString(text))
    }

    public init(_ scalar: JSONScalar) {
        switch scalar {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .number(.integer(value))
        case .double(let value): self = .number(Int64(exactly: value).map { .integer($0) } ?? .double(value))
        case .string(let text): self = .text(BytewiseString(text))
        }
    }

    /// In the order of the cases; false before true, numbers by value, texts by bytes.
    public static func < (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.boolean(let a), .boolean(let b)): !a && b
        case (.number(let a), .number(let b)): a < b
        case (.text(let a), .text(let b)): a < b
        default: a.rank < b.rank
        }
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .boolean: 1
        case .number: 2
        case .text: 3
        }
    }

    /// The key's part in cache keys. Different keys have different parts.
    var keyPart: String {
        switch self {
        case .null: "0"
        case .boolean(let value): value ? "1t" : "1f"
        case .number(.integer(let value)): "2i\(value)"
        case .number(.double(let value)): "2d\(value.bitPattern)"
        case .text(let text): "3\(text.text)"
        }
    }

    var size: Int { if case .text(let text) = self { text.text.utf8.count + 48 } else { 48 } }
}
