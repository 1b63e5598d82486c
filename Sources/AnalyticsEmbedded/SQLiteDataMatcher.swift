import AnalyticsCore

/// Tells whether the conditions of a listing hold for an event's `data`, by one walk a condition over the text, in which nothing
/// becomes a Swift value but what is compared. The text is normalised JSON; on any other it ends, saying something.
struct SQLiteDataMatcher: Sendable {
    private let conditions: [Condition]

    init(_ conditions: [DataCondition]) {
        self.conditions = conditions.map(Condition.init)
    }

    var isEmpty: Bool { conditions.isEmpty }

    func matches(_ text: String?) -> Bool {
        if conditions.isEmpty { return true }
        guard var text else { return false }
        return text.withUTF8 { bytes in
            conditions.allSatisfy { condition in
                var walk = Walk(bytes: bytes, condition: condition)
                return walk.find(depth: 0, inArray: false)
            }
        }
    }
}

extension SQLiteDataMatcher {
    /// A condition with its strings as bytes (Swift's `==` takes a composed and a decomposed é for the same) and its values sorted
    /// by kind.
    fileprivate struct Condition: Sendable {
        var path: [[UInt8]]
        var strings: [[UInt8]] = []
        var integers: [Int64] = []
        var doubles: [Double] = []
        var booleans: [Bool] = []
        var null = false

        init(_ condition: DataCondition) {
            path = condition.path.map { Array($0.utf8) }
            for scalar in condition.values.flatMap(DataCondition.scalars(of:)) {
                switch scalar {
                case .string(let string): strings.append(Array(string.utf8))
                case .integer(let integer): integers.append(integer)
                case .double(let double): doubles.append(double)
                case .boolean(let boolean): booleans.append(boolean)
                case .null: null = true
                }
            }
        }

        /// Numbers are compared by what they are worth, exactly: 2⁵³ + 1 is not 2⁵³ because a double cannot tell them apart.
        func holds(number text: some Sequence<UInt8>) -> Bool {
            guard !integers.isEmpty || !doubles.isEmpty else { return false }
            let text = String(decoding: Array(text), as: UTF8.self)
            if let integer = Int64(text) {
                return integers.contains(integer) || doubles.contains { Int64(exactly: $0) == integer }
            }
            guard let double = Double(text) else { return false }
            return doubles.contains(double) || integers.contains { Int64(exactly: double) == $0 }
        }
    }

    fileprivate struct Walk {
        let bytes: UnsafeBufferPointer<UInt8>
        let condition: Condition
        var position = 0

        init(bytes: UnsafeBufferPointer<UInt8>, condition: Condition) {
            self.bytes = bytes
            self.condition = condition
        }

        private var byte: UInt8 { position < bytes.count ? bytes[position] : 0 }

        /// Reads one value. `depth` keys of the path lead to it; `inArray` when it is an element, and an array in it does not count.
        mutating func find(depth: Int, inArray: Bool) -> Bool {
            switch byte {
            case UInt8(ascii: "{") where depth < condition.path.count: return findInMembers(depth: depth)
            case UInt8(ascii: "[") where !inArray: return findInElements(depth: depth)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                skipContainer()
                return false
            case UInt8(ascii: "\""):
                let raw = readString()
                return depth == condition.path.count && condition.strings.contains { JSONStringBytes.equal(raw, $0) }
            default:
                let raw = readWord()
                return depth == condition.path.count && holds(word: raw)
            }
        }

        private mutating func findInMembers(depth: Int) -> Bool {
            position += 1
            while byte == UInt8(ascii: "\"") {
                let key = readString()
                position += 1  // The colon.
                if JSONStringBytes.equal(key, condition.path[depth]) {
                    if find(depth: depth + 1, inArray: false) { return true }
                } else {
                    skip()
                }
                if byte == UInt8(ascii: ",") { position += 1 }
            }
            position += 1
            return false
        }

        private mutating func findInElements(depth: Int) -> Bool {
            position += 1
            while position < bytes.count, byte != UInt8(ascii: "]") {
                if find(depth: depth, inArray: true) { return true }
                if byte == UInt8(ascii: ",") { position += 1 }
            }
            position += 1
            return false
        }

        private func holds(word: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
            switch word.first {
            case UInt8(ascii: "t"): condition.booleans.contains(true)
            case UInt8(ascii: "f"): condition.booleans.contains(false)
            case UInt8(ascii: "n"): condition.null
            default: condition.holds(number: word)
            }
        }

        private mutating func skip() {
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): skipContainer()
            case UInt8(ascii: "\""): _ = readString()
            default: _ = readWord()
            }
        }

        private mutating func skipContainer() {
            var open = 0
            repeat {
                switch byte {
                case UInt8(ascii: "\""):
                    _ = readString()
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): open += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): open -= 1
                default: break
                }
                position += 1
            } while open > 0 && position < bytes.count
        }

        /// What is between the quotes, escapes as they are.
        private mutating func readString() -> Slice<UnsafeBufferPointer<UInt8>> {
            position += 1
            let start = position
            while position < bytes.count, byte != UInt8(ascii: "\"") {
                position += byte == UInt8(ascii: "\\") ? 2 : 1
            }
            let end = min(position, bytes.count)
            position += 1
            return bytes[min(start, end)..<end]
        }

        /// A number, `true`, `false` or `null`. Always goes on by a byte at least.
        private mutating func readWord() -> Slice<UnsafeBufferPointer<UInt8>> {
            let start = position
            repeat { position += 1 } while position < bytes.count && !Self.ends(byte)
            return bytes[min(start, bytes.count)..<min(position, bytes.count)]
        }

        private static func ends(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
        }
    }
}

/// The inside of a JSON string compared with the bytes that it may stand for.
private enum JSONStringBytes {
    static func equal(_ raw: Slice<UnsafeBufferPointer<UInt8>>, _ bytes: [UInt8]) -> Bool {
        if !raw.contains(UInt8(ascii: "\\")) { return raw.elementsEqual(bytes) }
        // With an escape it is rare enough to leave it to nobody's fast path, and longer than what it stands for.
        return raw.count > bytes.count && unescaped(raw) == bytes
    }

    private static func unescaped(_ raw: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8]? {
        var units: [UInt8] = []
        var rest = raw
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                units.append(byte)
                continue
            }
            guard let escape = rest.popFirst() else { return nil }
            if escape == UInt8(ascii: "u") {
                guard let scalar = unicodeEscape(&rest) else { return nil }
                units.append(contentsOf: String(scalar).utf8)
            } else if let plain = simple[escape] {
                units.append(plain)
            } else {
                return nil
            }
        }
        return units
    }

    private static let simple: [UInt8: UInt8] = [
        UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"), UInt8(ascii: "/"): UInt8(ascii: "/"),
        UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C, UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
    ]

    /// Four hex digits, and four more behind `\u` where the first are half of a pair.
    private static func unicodeEscape(_ rest: inout Slice<UnsafeBufferPointer<UInt8>>) -> Unicode.Scalar? {
        guard let high = hexUnit(&rest) else { return nil }
        guard UTF16.isLeadSurrogate(high) else { return Unicode.Scalar(high) }
        guard rest.popFirst() == UInt8(ascii: "\\"), rest.popFirst() == UInt8(ascii: "u"), let low = hexUnit(&rest),
            UTF16.isTrailSurrogate(low)
        else { return nil }
        return Unicode.Scalar(0x10000 + (UInt32(high) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
    }

    private static func hexUnit(_ rest: inout Slice<UnsafeBufferPointer<UInt8>>) -> UInt16? {
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        return UInt16(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16)
    }
}
