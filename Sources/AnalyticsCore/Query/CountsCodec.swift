/// Counts as the cache keeps them: `{"v":2,"other":count,"counts":{"name":count,…}}`.
///
/// The cache is a wire: whoever can write to it can put anything under a key. What is not what ``encode(_:)`` writes is computed anew.
enum CountsCodec {
    /// Raised with every change of the format. It is part of the cache's keys too, so that processes of two versions do not read each
    /// other's values.
    static let format: Int64 = 2

    enum Fault: Error, Equatable {
        /// Written by another version.
        case unknownFormat
        case damaged
    }

    static func encode(_ counts: Counts) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("v", format)
        writer.member("other", counts.other)
        writer.key("counts")
        writer.beginObject()
        for (name, count) in counts.groups {
            writer.key(name)
            writer.integer(count)
        }
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(Fault) -> Counts {
        let parser = JSONParser()
        defer { withExtendedLifetime(parser) {} }
        return try PaddedBytes(bytes).withUnsafeBytes { (text) throws(Fault) in
            guard let members = try? parser.members(of: text, maximumDepth: 2), let format = members["v"]?.integer else { throw .damaged }
            guard format == Self.format else { throw .unknownFormat }
            guard let counts = members["counts"], counts.isObject, let other = members["other"]?.integer, other >= 0 else { throw .damaged }
            return try PaddedBytes(counts.json.text).withUnsafeBytes { (text) throws(Fault) in try read(text, other, parser) }
        }
    }

    /// The parser refuses an object with a key twice.
    private static func read(_ text: JSONSlice, _ other: Int64, _ parser: JSONParser) throws(Fault) -> Counts {
        guard let members = try? parser.members(of: text, maximumDepth: 1) else { throw .damaged }
        var counts: [(name: ExactText, count: Int64)] = []
        try members.each { (member) throws(Fault) in
            guard let count = member.integer, count >= 0 else { throw .damaged }
            counts.append((ExactText(member.key), count))
        }
        guard let counts = Counts(exact: counts, other: other) else { throw .damaged }
        return counts
    }
}
