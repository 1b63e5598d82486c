internal import AnalyticsJSON

/// Cache format: `{"v":2,"other":count,"counts":{"name":count,…}}`.
enum CountsCodec: AnswerCodec {
    static let format: Int64 = 2

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

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Counts {
        var parser = JSONParser()
        let text = PaddedBytes(bytes)
        let (groups, other) = try parser.withMembers(of: text, at: text.all, maximumDepth: 2) { (members) throws(AnswerFault) in
            guard let format = members.integer("v") else { throw .damaged }
            guard format == Self.format else { throw .unknownFormat }
            guard let groups = members.with("counts", { $0.isObject ? $0.json : nil }), let other = members.integer("other"), other >= 0
            else { throw .damaged }
            return (PaddedBytes(groups.text), other)
        } fault: { _ in
            .damaged
        }
        // The parser refuses duplicate keys.
        let counts = try parser.withMembers(of: groups, at: groups.all, maximumDepth: 1) { (members) throws(AnswerFault) in
            var counts: [(name: BytewiseString, count: Int64)] = []
            try members.each { (member) throws(AnswerFault) in
                guard let count = member.integer, count >= 0 else { throw .damaged }
                counts.append((BytewiseString(member.key), count))
            }
            return counts
        } fault: { _ in
            .damaged
        }
        guard let counts = Counts(exact: counts, other: other) else { throw .damaged }
        return counts
    }
}
