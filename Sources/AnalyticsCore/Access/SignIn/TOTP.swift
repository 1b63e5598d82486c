internal import Crypto
internal import FoundationEssentials

/// Codes of a second factor (RFC 6238): SHA-1, six digits, 30 s. Not every authenticator app supports anything else.
enum TOTP {
    static let secretBytes = 20
    static let digits = 6
    private static let period: Int64 = 30_000

    static func step(at time: Timestamp) -> Int64 { time.milliseconds / period }

    static func code(_ secret: [UInt8], step: Int64) -> Int {
        let counter = withUnsafeBytes(of: step.bigEndian) { Array($0) }
        let code = Array(HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret)))
        let offset = Int(code[code.count - 1] & 15)
        let number = code[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } & 0x7FFF_FFFF
        return number % 1_000_000
    }

    /// `nil` unless the text has six digits.
    static func number(_ code: String) -> Int? {
        guard code.utf8.count == digits, code.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(code)
    }
}
