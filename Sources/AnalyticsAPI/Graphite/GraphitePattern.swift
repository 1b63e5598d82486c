internal import AnalyticsCore

/// A queried node: `*` matches any text, `?` one character, `[a-z]` and `[!a-z]` one character of a set, `{a,b}` one of several texts.
struct GraphitePattern: Sendable {
    private enum Token: Sendable {
        case character(Unicode.Scalar)
        case any
        case one([ClosedRange<Unicode.Scalar>], isNegated: Bool)

        func matches(_ text: Unicode.Scalar) -> Bool {
            switch self {
            case .character(let character): character == text
            case .any: false
            case .one(let ranges, let isNegated): ranges.contains { $0.contains(text) } != isNegated
            }
        }
    }

    /// The source text.
    let text: String
    /// Whether it may match several texts.
    let hasWildcards: Bool
    private let alternatives: [[Token]]

    /// Alternatives of one node that `{…}` may expand to.
    static let maximumAlternatives = 1_000
    private static let maximumTokens = 32_768
    /// Comparison steps per request: less than a second.
    static let maximumSteps = 50_000_000

    init(_ text: some StringProtocol) throws(GraphiteFault) {
        var parser = Parser(rest: Array(text.unicodeScalars)[...], node: String(text))
        alternatives = try parser.alternatives()
        hasWildcards = parser.hasWildcards
        self.text = String(text)
    }

    /// Matches only `text`.
    init(literal text: String) {
        self.text = GraphiteNode.encode(text)
        hasWildcards = false
        alternatives = [text.unicodeScalars.map { .character($0) }]
    }

    /// Matches every text.
    static let all = GraphitePattern(all: ())

    private init(all: Void) {
        text = "*"
        hasWildcards = true
        alternatives = [[.any]]
    }

    var isAll: Bool {
        alternatives.contains { tokens in
            if case .any? = tokens.first, tokens.count == 1 { true } else { false }
        }
    }

    /// The texts that it matches, without duplicates; `nil` with wildcards other than `{…}`.
    var names: [String]? {
        var names: [String] = []
        var seen: Set<BytewiseString> = []
        for tokens in alternatives {
            var name = String.UnicodeScalarView()
            for token in tokens {
                guard case .character(let character) = token else { return nil }
                name.append(character)
            }
            if seen.insert(BytewiseString(String(name))).inserted { names.append(String(name)) }
        }
        return names
    }

    // MARK: Comparing

    /// The elements whose text matches.
    ///
    /// - Parameter steps: The comparison steps left.
    func matching<Element>(
        _ elements: [Element], steps: inout Int, _ text: (Element) -> String
    ) throws(GraphiteFault) -> [Element] {
        if isAll { return elements }
        var matching: [Element] = []
        for element in elements {
            let characters = Array(text(element).unicodeScalars)
            if alternatives.contains(where: { Self.matches($0, characters, &steps) }) { matching.append(element) }
            guard steps > 0 else {
                throw GraphiteFault("takes too long to compare with all names: '\(self.text.clipped)'. Use fewer wildcards.")
            }
        }
        return matching
    }

    /// Backtracks to the last `*` only, so the steps are at most the product of both lengths.
    private static func matches(_ tokens: [Token], _ text: [Unicode.Scalar], _ steps: inout Int) -> Bool {
        var (token, character) = (0, 0)
        var star: (token: Int, character: Int)?
        while character < text.count {
            steps -= 1
            guard steps > 0 else { return false }
            if token < tokens.count {
                if case .any = tokens[token] {
                    star = (token, character)
                    token += 1
                    continue
                }
                if tokens[token].matches(text[character]) {
                    (token, character) = (token + 1, character + 1)
                    continue
                }
            }
            guard let last = star else { return false }
            star = (last.token, last.character + 1)
            (token, character) = (last.token + 1, last.character + 1)
        }
        return tokens[token...].allSatisfy { if case .any = $0 { true } else { false } }
    }
}

// MARK: - Reading

extension GraphitePattern {
    private struct Parser {
        var rest: ArraySlice<Unicode.Scalar>
        let node: String
        var hasWildcards = false

        mutating func alternatives() throws(GraphiteFault) -> [[Token]] {
            var made: [[Token]] = [[]]
            while let next = rest.first {
                if next == Sign.openBrace {
                    made = try product(made, try braces())
                } else {
                    let token = try token()
                    for index in made.indices { made[index].append(token) }
                }
                guard made.reduce(0, { $0 + $1.count }) <= GraphitePattern.maximumTokens else { throw tooMany }
            }
            return made
        }

        private func product(_ prefixes: [[Token]], _ ends: [[Token]]) throws(GraphiteFault) -> [[Token]] {
            guard prefixes.count * ends.count <= GraphitePattern.maximumAlternatives else { throw tooMany }
            return prefixes.flatMap { prefix in ends.map { prefix + $0 } }
        }

        /// The alternatives between `{` and `}`, which may have wildcards but no braces.
        private mutating func braces() throws(GraphiteFault) -> [[Token]] {
            hasWildcards = true
            rest.removeFirst()
            var alternatives: [[Token]] = [[]]
            while let next = rest.first {
                switch next {
                case Sign.closeBrace:
                    rest.removeFirst()
                    return alternatives
                case Sign.comma:
                    rest.removeFirst()
                    alternatives.append([])
                    guard alternatives.count <= GraphitePattern.maximumAlternatives else { throw tooMany }
                case Sign.openBrace: throw wrong("has a '{' inside of '{…}'; write the alternatives side by side")
                default: alternatives[alternatives.count - 1].append(try token())
                }
            }
            throw wrong("has a '{' without its '}'")
        }

        private mutating func token() throws(GraphiteFault) -> Token {
            let next = rest.removeFirst()
            switch next {
            case Sign.star:
                hasWildcards = true
                while rest.first == Sign.star { rest.removeFirst() }
                return .any
            case Sign.question:
                hasWildcards = true
                return .one([], isNegated: true)
            case Sign.openBracket: return try set()
            default: return .character(try character(next))
            }
        }

        private mutating func character(_ next: Unicode.Scalar) throws(GraphiteFault) -> Unicode.Scalar {
            if next == Sign.tilde {
                guard let high = rest.popFirst(), let low = rest.popFirst(), let character = GraphiteNode.character(high, low) else {
                    throw wrong("has a '~' without two hexadecimal digits in capitals: '~2E' is a dot, '~7E' is '~' itself")
                }
                return character
            }
            guard !next.isASCII || GraphiteNode.isPlain(UInt8(ascii: next)) else {
                throw wrong("has a '\(next)', which names write as \(GraphiteNode.encode(String(next)))")
            }
            return next
        }

        private mutating func set() throws(GraphiteFault) -> Token {
            hasWildcards = true
            let isNegated = rest.first == Sign.exclamation
            if isNegated { rest.removeFirst() }
            var ranges: [ClosedRange<Unicode.Scalar>] = []
            while let next = rest.popFirst() {
                if next == Sign.closeBracket, !ranges.isEmpty { return .one(ranges, isNegated: isNegated) }
                let first = try character(next)
                guard rest.first == Sign.dash, let end = rest.dropFirst().first, end != Sign.closeBracket else {
                    ranges.append(first...first)
                    continue
                }
                rest.removeFirst(2)
                let last = try character(end)
                guard first <= last else { throw wrong("has a set whose range ends before it begins") }
                ranges.append(first...last)
            }
            throw wrong("has a '[' without its ']'")
        }

        private var tooMany: GraphiteFault {
            wrong("stands for more than \(GraphitePattern.maximumAlternatives) texts, or is too long. Use '*', or choose less")
        }

        private func wrong(_ why: String) -> GraphiteFault { GraphiteFault("names '\(node.clipped)', which \(why).") }
    }

    private enum Sign {
        static let openBrace: Unicode.Scalar = "{"
        static let closeBrace: Unicode.Scalar = "}"
        static let openBracket: Unicode.Scalar = "["
        static let closeBracket: Unicode.Scalar = "]"
        static let comma: Unicode.Scalar = ","
        static let star: Unicode.Scalar = "*"
        static let question: Unicode.Scalar = "?"
        static let exclamation: Unicode.Scalar = "!"
        static let dash: Unicode.Scalar = "-"
        static let tilde: Unicode.Scalar = "~"
    }
}
