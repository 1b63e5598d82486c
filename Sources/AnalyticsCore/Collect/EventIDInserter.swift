/// Puts an id into the text of an event that has none, and leaves every other byte as it is. One task at a time.
public final class EventIDInserter {
    private let parser = JSONParser()

    public init() {}

    /// A text that has an id already, or is no JSON object that the service would read, comes back unchanged: it is the service's to judge.
    public func insert(_ id: () -> String, into text: [UInt8]) -> [UInt8] {
        PaddedBytes(text).withUnsafeBytes { slice in
            guard let members = try? parser.members(of: slice, maximumDepth: EventLimits.maximumDepth) else { return text }
            var count = 0
            var null: Int?
            for member in members {
                if member.hasKey("id") {
                    guard member.isNull else { return text }
                    null = count
                }
                count += 1
            }
            var result = text
            if let null {
                guard let value = Self.value(null, of: slice) else { return text }
                result.replaceSubrange(value, with: "\"\(id())\"".utf8)
            } else if let brace = text.firstIndex(of: UInt8(ascii: "{")) {
                result.insert(contentsOf: "\"id\":\"\(id())\"\(count > 0 ? "," : "")".utf8, at: brace + 1)
            }
            return result
        }
    }

    /// Where the value of the member at `index` stands.
    private static func value(_ index: Int, of text: JSONSlice) -> Range<Int>? {
        guard var members = JSONRawMembers(text) else { return nil }
        for _ in 0..<index { _ = try? members.next() }
        guard let value = try? members.next()?.value else { return nil }
        let start = value.start - text.start
        return start..<start + value.count
    }
}
