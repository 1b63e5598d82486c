public import AnalyticsJSON

/// CloudEvents 1.0 in the three modes of the HTTP protocol binding 1.0.2.
public enum CloudEventsFormat: IntakeFormat, Equatable {
    /// One event in the JSON format.
    case structured
    /// An array of events in the JSON format.
    case batched
    /// The body is the event's data; the attributes came as headers. Names are in lower case, without `ce-`.
    case binary(attributes: [String: String], contentType: String?)

    public func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Void> {
        switch self {
        case .structured: return IntakeBatch(text: body, items: [body.all])
        case .batched:
            var items = IntakeItems(limit: limit)
            try items.append(elementsOf: body, at: body.all)
            return IntakeBatch(text: body, items: items.places)
        case .binary(let attributes, _):
            let id = attributes["id"].flatMap { try? FieldRules.checked($0, "id", limit: FieldRules.idLength) }
            return IntakeBatch(text: body, items: [body.all], id: id)
        }
    }

    public func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Void>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        switch self {
        case .structured, .batched:
            drafts.append(try parser.draft(item, of: batch.text) { (members) throws(Rejection) in try EventDraft(cloudEvent: members) })
        case .binary(let attributes, let contentType):
            drafts.append(
                try EventDraft(cloudEventAttributes: attributes, contentType: contentType, body: batch.text, parser: &parser))
        }
    }
}
