/// Detects damaged bytes by a checksum of eight bytes at the end. It does not protect against deliberate changes.
enum SegmentSeal {
    private static let length = 8

    static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var sealed = bytes
        withUnsafeBytes(of: sum(bytes[...]).littleEndian) { sealed.append(contentsOf: $0) }
        return sealed
    }

    static func opened(_ bytes: [UInt8]) throws(GroupTable.Unreadable) -> ArraySlice<UInt8> {
        guard bytes.count >= length else { throw .damaged }
        let content = bytes.dropLast(length)
        var own = sum(content)
        for byte in bytes.suffix(length) {
            guard byte == UInt8(truncatingIfNeeded: own) else { throw .damaged }
            own >>= 8
        }
        return content
    }

    /// Multiplies and shifts word by word: a changed bit changes half of the following bits.
    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.withUnsafeBytes { raw in
            var sum = UInt64(raw.count) &+ 0x9E37_79B9_7F4A_7C15
            let words = raw.count / 8
            for word in 0..<words {
                sum = (sum ^ UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self))) &* 0xBF58_476D_1CE4_E5B9
                sum ^= sum >> 29
            }
            for byte in raw[(words * 8)...] { sum = (sum ^ UInt64(byte)) &* 0x94D0_49BB_1331_11EB }
            return sum ^ sum >> 32
        }
    }
}
