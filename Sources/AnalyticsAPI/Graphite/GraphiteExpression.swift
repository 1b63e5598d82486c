internal import AnalyticsCore

/// A parsed target: `alias(sumSeries(shop.*.web), 'all')`. Pure.
indirect enum GraphiteExpression: Sendable, Equatable {
    /// A name of series, which may have wildcards.
    case path(String)
    case call(String, [GraphiteExpression])
    case number(Double)
    case text(String)
    case boolean(Bool)

    /// Bytes per target.
    static let maximumBytes = 16_384
    /// Nested calls.
    static let maximumDepth = 24

    init(_ text: String) throws(GraphiteFault) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw GraphiteFault("has \(text.utf8.count) bytes; at most \(Self.maximumBytes) are read.")
        }
        var parser = Parser(bytes: Array(text.utf8))
        self = try parser.whole()
    }

    /// The source text, normalized.
    var written: String {
        switch self {
        case .path(let path): path
        case .call(let name, let arguments): "\(name)(\(arguments.map(\.written).joined(separator: ",")))"
        case .number(let value): Int64(exactly: value).map { "\($0)" } ?? "\(value)"
        case .text(let text): "'\(text)'"
        case .boolean(let value): value ? "true" : "false"
        }
    }

    private struct Parser {
        let bytes: [UInt8]
        var position = 0
        var depth = 0

        mutating func whole() throws(GraphiteFault) -> GraphiteExpression {
            skipSpaces()
            guard position < bytes.count else { throw GraphiteFault("is empty.") }
            let expression = try expression()
            skipSpaces()
            if position < bytes.count { throw unexpected() }
            return expression
        }

        private mutating func expression() throws(GraphiteFault) -> GraphiteExpression {
            skipSpaces()
            guard let byte = peek else { throw GraphiteFault("ends where a name, a function, a number or a text must stand.") }
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") { return .text(try quoted(by: byte)) }
            let word = word()
            guard !word.isEmpty else { throw unexpected() }
            skipSpaces()
            if peek == UInt8(ascii: "(") { return .call(word, try arguments(of: word)) }
            switch word.lowercasedASCII() {
            case "true": return .boolean(true)
            case "false": return .boolean(false)
            default: return Self.number(word).map { .number($0) } ?? .path(word)
            }
        }

        /// The arguments in the parentheses after a function's name.
        private mutating func arguments(of function: String) throws(GraphiteFault) -> [GraphiteExpression] {
            depth += 1
            guard depth <= GraphiteExpression.maximumDepth else {
                throw GraphiteFault("has more than \(GraphiteExpression.maximumDepth) calls inside of one another.")
            }
            position += 1
            var arguments: [GraphiteExpression] = []
            skipSpaces()
            if peek != UInt8(ascii: ")") {
                arguments.append(try expression())
                skipSpaces()
                while peek == UInt8(ascii: ",") {
                    position += 1
                    arguments.append(try expression())
                    skipSpaces()
                }
            }
            guard let byte = peek else { throw GraphiteFault("ends before the ')' of \(function.clipped).") }
            guard byte == UInt8(ascii: ")") else { throw unexpected() }
            position += 1
            depth -= 1
            return arguments
        }

        /// As in Graphite, a text ends at the same quote, and a backslash has no special meaning.
        private mutating func quoted(by quote: UInt8) throws(GraphiteFault) -> String {
            let start = position + 1
            guard let end = bytes[start...].firstIndex(of: quote) else {
                throw GraphiteFault("has a text at byte \(position) without its closing quote.")
            }
            position = end + 1
            return String(decoding: bytes[start..<end], as: UTF8.self)
        }

        /// Up to a space, a parenthesis, a quote, or a comma that is not between braces.
        private mutating func word() -> String {
            let start = position
            var braces = 0
            scan: while let byte = peek {
                switch byte {
                case UInt8(ascii: "{"): braces += 1
                case UInt8(ascii: "}"): braces -= 1
                case UInt8(ascii: ",") where braces <= 0: break scan
                case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "'"), UInt8(ascii: "\""): break scan
                case 0...0x20: break scan
                default: break
                }
                position += 1
            }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }

        private static func number(_ word: String) -> Double? {
            let digits = word.utf8.first == UInt8(ascii: "-") ? word.utf8.dropFirst() : word.utf8[...]
            guard let first = digits.first, (0x30...0x39).contains(first),
                digits.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }), let value = Double(word), value.isFinite
            else { return nil }
            return value
        }

        private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

        private mutating func skipSpaces() {
            while let byte = peek, byte <= 0x20 { position += 1 }
        }

        private func unexpected() -> GraphiteFault {
            let text = String(decoding: bytes[position...].prefix(20), as: UTF8.self)
            return GraphiteFault("cannot be read from byte \(position) on: '\(text)'.")
        }
    }
}
