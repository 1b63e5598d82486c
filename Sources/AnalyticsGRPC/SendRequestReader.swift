internal import GRPCCore
internal import GRPCProtobuf

/// Decodes a batch unless it has more events than any limit allows: an empty event has two bytes on the wire, and about 200 in memory.
struct SendRequestReader: MessageDeserializer {
    /// The largest value of `MAX_BATCH_EVENTS`.
    static let maximumEvents = 100_000
    /// The number of `events`.
    private static let field: UInt64 = 2

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> Analytics_SendRequest {
        guard bytes.withUnsafeBytes({ Self.events(in: $0) }) <= Self.maximumEvents else {
            throw RPCError(
                code: .invalidArgument, message: "A request holds at most \(Self.maximumEvents) events; send the rest in another.",
                metadata: ["problem-code": "too_many_events"])
        }
        return try ProtobufDeserializer<Analytics_SendRequest>().deserialize(bytes)
    }

    /// Counts the events of an encoded batch; of a malformed one, those before the fault.
    static func events(in bytes: UnsafeRawBufferPointer) -> Int {
        var (position, count) = (0, 0)
        func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 70, by: 7) {
                guard position < bytes.count else { return nil }
                let byte = bytes[position]
                position += 1
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            return nil
        }
        while position < bytes.count, let tag = varint() {
            switch tag & 7 {
            case 0: guard varint() != nil else { return count }
            case 1: position += 8
            case 2:
                guard let length = varint(), length <= UInt64(bytes.count - position) else { return count }
                position += Int(length)
                if tag >> 3 == field { count += 1 }
            // The fields of a group are between these two.
            case 3, 4: break
            case 5: position += 4
            default: return count
            }
        }
        return count
    }
}
