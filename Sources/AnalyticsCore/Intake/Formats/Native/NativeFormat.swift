public import AnalyticsJSON

/// The service's native JSON.
public enum NativeFormat: IntakeFormat {
    /// One event.
    case event
    /// `[…]` or `{"events": […], "sentAt": …}`.
    case batch

    public func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Void> {
        switch self {
        case .event: IntakeBatch(text: body, items: [Self.bracket(of: body) ?? body.all])
        case .batch: try NativeEnvelope(body, limit: limit, parser: &parser).batch
        }
    }

    public func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Void>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        if self == .event, batch.text.equals("[", at: item) {
            throw Rejection(
                code: .notAnObject, message: "An array of events goes to POST /api/v1/events/batch; this route takes one event.")
        }
        drafts.append(try parser.draft(item, of: batch.text) { (members) throws(Rejection) in try EventDraft(native: members) })
    }

    /// The opening bracket of an array. It is enough to refuse the array without reading it.
    private static func bracket(of body: PaddedBytes) -> Range<Int>? {
        guard let start = body.bytes.firstIndex(where: { $0 > 0x20 }), body.bytes[start] == UInt8(ascii: "[") else { return nil }
        return start..<start + 1
    }
}

extension EventDraft {
    /// Reads a native event.
    init(native members: borrowing JSONMembers) throws(Rejection) {
        self.init()
        try members.each { (member) throws(Rejection) in
            if member.hasKey("id") {
                id = try FieldRules.string(member, "id", limit: FieldRules.idLength)
            } else if member.hasKey("type") {
                type = try FieldRules.string(member, "type", limit: FieldRules.textLength)
            } else if member.hasKey("source") {
                source = try FieldRules.string(member, "source", limit: FieldRules.textLength)
            } else if member.hasKey("timestamp") {
                timestamp = try FieldRules.timestamp(member, "timestamp")
            } else if member.hasKey("data") {
                data = member.json
            } else if member.hasKey("correlationId") {
                correlationId = try FieldRules.string(member, "correlationId", limit: FieldRules.textLength)
            } else if member.hasKey("metadata") {
                metadata = try FieldRules.object(member, "metadata")
            } else if member.hasKey("userId") {
                userId = try FieldRules.string(member, "userId", limit: FieldRules.textLength)
            } else if member.hasKey("anonymousId") {
                anonymousId = try FieldRules.string(member, "anonymousId", limit: FieldRules.textLength)
            } else if member.hasKey("sessionId") {
                sessionId = try FieldRules.string(member, "sessionId", limit: FieldRules.textLength)
            } else {
                throw Rejection(
                    field: member.key, code: .unknownField,
                    message: "'\(member.key)' is not a field of an event; put it into 'data' or 'metadata'.")
            }
        }
        try FieldRules.require(type, "type")
        try FieldRules.require(source, "source")
        try FieldRules.require(data, "data")
    }
}
