public import AnalyticsJSON

/// One native event per line; blank lines are ignored.
public struct NDJSONFormat: IntakeFormat {
    public init() {}

    public func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Void> {
        var items = IntakeItems(limit: limit)
        var rest = body.bytes
        // Line by line, so that a body of blank lines does not become a large array.
        while !rest.isEmpty {
            let line = rest.prefix { $0 != 0x0A }
            rest = rest[line.endIndex...].dropFirst()
            guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { continue }
            try items.append(line.indices)
        }
        return IntakeBatch(text: body, items: items.places)
    }

    public func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Void>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        drafts.append(try parser.draft(item, of: batch.text) { (members) throws(Rejection) in try EventDraft(native: members) })
    }
}
