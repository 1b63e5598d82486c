/// Counts as the cache keeps them: `{"name":count,…}`.
enum CountsCodec {
    static func encode(_ counts: Counts) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, count) in counts.groups {
            writer.key(name)
            writer.integer(count)
        }
        writer.endObject()
        return writer.bytes
    }

    /// `nil` when it is not what ``encode(_:)`` writes.
    static func decode(_ bytes: [UInt8]) -> Counts? {
        PaddedBytes(bytes).withUnsafeBytes { text in
            JSONParser.withMembers(of: text, maximumDepth: 1) { members in
                var counts: [ExactText: Int64] = [:]
                for member in members {
                    guard let count = member.integer else { return nil }
                    counts[ExactText(member.key)] = count
                }
                return Counts(exact: counts)
            }
        }
    }
}
