internal import AnalyticsJSON

/// Inserts an id into the text of an event that has none, and changes no other byte. Not thread-safe.
public final class EventIDInserter {
    private var parser = JSONParser()

    public init() {}

    /// Returns the text unchanged if it has an id or is not a JSON object that the service reads: the service validates it.
    public func insert(_ id: () -> String, into text: [UInt8]) -> [UInt8] {
        let padded = PaddedBytes(text)
        let found = try? parser.withMembers(of: padded, at: padded.all, maximumDepth: EventLimits.maximumDepth) { members in
            var count = 0
            var (isTaken, null): (Bool, Int?) = (false, nil)
            members.each { member in
                if member.hasKey("id") { (isTaken, null) = (!member.isNull, count) }
                count += 1
            }
            return (count: count, isTaken: isTaken, null: null)
        }
        guard let found, !found.isTaken else { return text }
        var result = text
        if let null = found.null {
            guard let value = Self.value(null, of: padded) else { return text }
            result.replaceSubrange(value, with: "\"\(id())\"".utf8)
        } else if let brace = text.firstIndex(of: UInt8(ascii: "{")) {
            result.insert(contentsOf: "\"id\":\"\(id())\"\(found.count > 0 ? "," : "")".utf8, at: brace + 1)
        }
        return result
    }

    /// The range of the value of the member at `index`.
    private static func value(_ index: Int, of text: PaddedBytes) -> Range<Int>? {
        guard var members = JSONRawMembers(text, at: text.all) else { return nil }
        for _ in 0..<index { _ = try? members.next() }
        return try? members.next()?.value
    }
}
