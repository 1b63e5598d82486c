internal import Crypto

/// Short digests of texts and bytes.
public enum Digest {
    /// 128 bits of SHA-256 over a list of texts, as 32 hexadecimal digits.
    public static func hexadecimal(of parts: [String]) -> String {
        hexadecimal(
            digest128 { hash in
                for part in parts { hash.update(field: part) }
            })
    }

    static func hexadecimal(of bytes: [UInt8]) -> String {
        hexadecimal(digest128 { hash in bytes.withUnsafeBytes { hash.update(field: $0) } })
    }

    private static func hexadecimal(_ digest: (high: UInt64, low: UInt64)) -> String {
        func digits(_ word: UInt64) -> String {
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(digest.high) + digits(digest.low)
    }
}

/// The first 128 bits of a SHA-256.
func digest128(_ update: (inout SHA256) -> Void) -> (high: UInt64, low: UInt64) {
    var hash = SHA256()
    update(&hash)
    return hash.finalize().withUnsafeBytes { bytes in
        (
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }
}

extension SHA256 {
    /// Each field is preceded by its length, so different lists of fields never give the same bytes.
    mutating func update(field: String?) {
        guard var field else { return withUnsafeBytes(of: Int64(-1)) { update(bufferPointer: $0) } }
        field.withUTF8 { update(field: UnsafeRawBufferPointer($0)) }
    }

    mutating func update(field: UnsafeRawBufferPointer) {
        withUnsafeBytes(of: Int64(field.count)) { update(bufferPointer: $0) }
        update(bufferPointer: field)
    }
}
