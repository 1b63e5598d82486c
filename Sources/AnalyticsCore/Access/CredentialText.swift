internal import Crypto

/// How keys and tokens end: random characters, and a checksum over everything before it.
enum CredentialText {
    /// Characters of 62 kinds: 190 bits, which nobody guesses.
    static let secretCharacters = 32
    private static let checksumCharacters = 6
    static let endCharacters = secretCharacters + checksumCharacters

    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// - Parameters:
    ///   - beginning: ASCII.
    ///   - random: A cryptographic generator, except in tests.
    static func make(_ beginning: [UInt8], using random: inout some RandomNumberGenerator) -> String {
        var bytes = beginning
        for _ in 0..<secretCharacters { bytes.append(alphabet[Int.random(in: 0..<alphabet.count, using: &random)]) }
        return String(decoding: bytes + checksum(of: bytes), as: UTF8.self)
    }

    static func makeToken(_ prefix: String) -> String {
        var random = SystemRandomNumberGenerator()
        return make(Array(prefix.utf8), using: &random)
    }

    /// Whether the prefix, random characters and their checksum are the whole text.
    static func isToken(_ text: String, _ prefix: String) -> Bool {
        let count = prefix.utf8.count
        return text.starts(withUTF8: prefix) && endsWell(Array(text.utf8.prefix(count + endCharacters + 1)), after: count)
    }

    /// Whether random characters and the right checksum are all that follows the first `count` bytes.
    static func endsWell(_ bytes: [UInt8], after count: Int) -> Bool {
        let end = bytes.dropFirst(count)
        guard end.count == endCharacters, end.allSatisfy({ alphabet.contains($0) }) else { return false }
        return checksum(of: bytes.dropLast(checksumCharacters)).elementsEqual(bytes.suffix(checksumCharacters))
    }

    /// The first 8 bytes of SHA-256, as a number: its last six digits to base 62.
    private static func checksum(of bytes: some Sequence<UInt8>) -> [UInt8] {
        var number = SHA256.hash(data: Array(bytes)).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        var digits: [UInt8] = []
        for _ in 0..<checksumCharacters {
            digits.append(alphabet[Int(number % 62)])
            number /= 62
        }
        return digits.reversed()
    }
}
