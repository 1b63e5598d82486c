import AnalyticsCore
import GRDB

/// A bucket's groups as bytes: a format number, then for each group type, source, count and the number of quarters with their counts;
/// strings with their length before them, numbers as LEB128. A long range reads thousands of buckets, and as JSON most of the time
/// would go into reading groups.
enum SQLiteRollupGroups {
    private static let format: UInt8 = 1

    static func encode(_ groups: [RollupGroup]) -> [UInt8] {
        guard !groups.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1 + groups.count * 24)
        bytes.append(format)
        for group in groups {
            append(group.type, to: &bytes)
            append(group.source, to: &bytes)
            append(group.count, to: &bytes)
            append(Int64(group.quarters.count), to: &bytes)
            for quarter in group.quarters { append(quarter, to: &bytes) }
        }
        return bytes
    }

    /// Throws SQLITE_CORRUPT on bytes that ``encode(_:)`` has not written.
    static func decode(_ bytes: UnsafeRawBufferPointer) throws -> [RollupGroup] {
        var reader = Reader(bytes: bytes)
        guard !bytes.isEmpty else { return [] }
        guard try reader.byte() == format, !reader.isAtEnd else { throw Reader.corrupt }
        var groups: [RollupGroup] = []
        while !reader.isAtEnd {
            let group = RollupGroup(
                storedType: try reader.string(), source: try reader.string(), count: try reader.number(), quarters: try reader.quarters())
            guard let group else { throw Reader.corrupt }
            groups.append(group)
        }
        return groups
    }

    private static func append(_ string: String, to bytes: inout [UInt8]) {
        append(Int64(string.utf8.count), to: &bytes)
        bytes.append(contentsOf: string.utf8)
    }

    private static func append(_ number: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: number)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

extension SQLiteRollupGroups {
    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var position = 0

        static var corrupt: DatabaseError { DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a bucket's groups cannot be read") }

        init(bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
        }

        var isAtEnd: Bool { position == bytes.count }

        mutating func byte() throws -> UInt8 {
            guard position < bytes.count else { throw Self.corrupt }
            defer { position += 1 }
            return bytes[position]
        }

        mutating func number() throws -> Int64 {
            var number: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                let byte = try byte()
                number |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return Int64(bitPattern: number) }
            }
            throw Self.corrupt
        }

        /// A length: never more than what is left.
        private mutating func length() throws -> Int {
            let length = try number()
            guard length >= 0, length <= bytes.count - position else { throw Self.corrupt }
            return Int(length)
        }

        mutating func string() throws -> String {
            let length = try length()
            defer { position += length }
            guard let string = String(validating: bytes[position..<position + length], as: UTF8.self) else { throw Self.corrupt }
            return string
        }

        mutating func quarters() throws -> [Int64] {
            try (0..<length()).map { _ in try number() }
        }
    }
}
