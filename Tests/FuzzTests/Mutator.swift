import TestSupport

/// Makes inputs of a corpus: bit flips, cuts, splices, integers at the ends of their ranges, doubled members, odd Unicode.
struct Mutator {
    private let corpus: [[UInt8]]
    private var random: Seeded

    init(corpus: [[UInt8]], seed: UInt64) {
        self.corpus = corpus
        random = Seeded(seed)
    }

    mutating func next() -> [UInt8] {
        var input = corpus[below(corpus.count)]
        for _ in 0...below(3) { mutate(&input) }
        return input
    }

    // MARK: Mutations

    private static let integers = [
        "0", "-0", "1", "-1", "2", "50", "127", "128", "255", "256", "65535", "65536", "2147483647", "2147483648", "-2147483648",
        "4294967295", "4294967296", "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "18446744073709551615", "-62135596800000", "-62135596800001", "253402300799999", "253402300800000", "999999", "1000000", "1e3",
        "1.5",
        "1e400", "00", "+1",
    ].map { Array($0.utf8) }

    private static let texts = [
        "\u{301}", "\u{600}", "\u{200D}", "\u{1F1E6}", "\r\n", "\u{0}", "\u{7F}", "\u{2028}", "\u{FEFF}", "e\u{301}", "\u{E9}", "\u{212A}",
        "\u{37E}", "\u{FFFF}", "\u{10FFFF}", "\"", "\\", "\\u0000", "\\ud83d\\ude00", "\\ud83d", "\\u0065", "{", "}", "[", "]", ",", ":",
        "null",
        "true", "{}", "[]", "\"\"", " ", "\n", "/", "%", "\u{1F469}\u{200D}\u{1F469}",
    ].map { Array($0.utf8) }

    private static let bytes: [UInt8] = [
        0, 1, 2, 3, 8, 0x0A, 0x0D, 0x20, 0x22, 0x2C, 0x3C, 0x5C, 0x7F, 0x80, 0xC0, 0xCE, 0xED, 0xF4, 0xFE, 0xFF,
    ]

    private mutating func mutate(_ input: inout [UInt8]) {
        guard !input.isEmpty else {
            input = corpus[below(corpus.count)]
            return
        }
        switch below(12) {
        case 0: input[below(input.count)] ^= 1 << UInt8(below(8))
        case 1: input[below(input.count)] = Self.bytes[below(Self.bytes.count)]
        case 2: input.removeLast(1 + below(input.count))
        case 3: input.removeSubrange(range(of: input))
        case 4: input.insert(contentsOf: input[range(of: input)], at: below(input.count + 1))
        case 5: splice(&input)
        case 6, 7: replaceInteger(&input)
        case 8: writeInteger(&input)
        case 9: doubleMember(&input)
        default: input.insert(contentsOf: Self.texts[below(Self.texts.count)], at: below(input.count + 1))
        }
    }

    private mutating func splice(_ input: inout [UInt8]) {
        let other = corpus[below(corpus.count)]
        input = Array(input.prefix(below(input.count + 1))) + other.suffix(below(other.count + 1))
    }

    /// One that is written in digits.
    private mutating func replaceInteger(_ input: inout [UInt8]) {
        let isDigit = { (byte: UInt8) in byte >= 0x30 && byte <= 0x39 }
        guard let start = input[below(input.count)...].firstIndex(where: isDigit) else { return }
        let end = input[start...].firstIndex { !isDigit($0) } ?? input.count
        input.replaceSubrange(start..<end, with: Self.integers[below(Self.integers.count)])
    }

    /// One of 1, 2, 4 or 8 bytes, at one of the ends of its range.
    private mutating func writeInteger(_ input: inout [UInt8]) {
        let size = 1 << below(4)
        guard input.count >= size else { return }
        let start = below(input.count - size + 1)
        let (first, others): (UInt8, UInt8) = [(0, 0), (0xFF, 0xFF), (0x7F, 0xFF), (0x80, 0), (0, 0x7F), (0, 0xFF)][below(6)]
        let isLittleEndian = below(2) == 0
        for index in 0..<size { input[start + (isLittleEndian ? size - 1 - index : index)] = index == 0 ? first : others }
    }

    /// From a quote behind a comma or a bracket to the next comma, twice.
    private mutating func doubleMember(_ input: inout [UInt8]) {
        guard let start = input[below(input.count)...].firstIndex(of: UInt8(ascii: ",")),
            let end = input[(start + 1)...].firstIndex(of: UInt8(ascii: ","))
        else { return }
        input.insert(contentsOf: input[start..<end], at: end)
    }

    private mutating func range(of input: [UInt8]) -> Range<Int> {
        let start = below(input.count)
        return start..<min(input.count, start + 1 + below(1 << below(7)))
    }

    private mutating func below(_ bound: Int) -> Int { random.below(bound) }
}
