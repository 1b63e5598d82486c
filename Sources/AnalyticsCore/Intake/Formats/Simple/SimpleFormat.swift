public import AnalyticsJSON

/// One event with few fields, as small collectors send it. Unknown fields are rejected, as in native events.
public enum SimpleFormat: IntakeFormat {
    /// `{"event_id", "user_id", "event_name", "event_time", "payload"}`; the name is required.
    case record
    /// `{"site_id", "event_type", "path", "user_id", "timestamp"}`; site and type are required.
    case siteEvent
    /// `{"userId", "anonymousId", "id", "timestamp", "source", "sessionId"}`: links the two ids; both are required.
    case identity

    /// The source of records, which have no such field.
    static let recordSource = "ingest"
    static let identitySource = "identify"

    public func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Void> {
        IntakeBatch(text: body, items: [body.all])
    }

    public func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Void>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        let draft = try parser.draft(item, of: batch.text, id: idField) { (members) throws(Rejection) in
            switch self {
            case .record: try EventDraft(record: members)
            case .siteEvent: try EventDraft(siteEvent: members)
            case .identity: try EventDraft(identity: members)
            }
        }
        drafts.append(draft)
    }

    private var idField: StaticString {
        if case .identity = self { "id" } else { "event_id" }
    }
}

extension EventDraft {
    fileprivate init(record members: borrowing JSONMembers) throws(Rejection) {
        self.init()
        source = SimpleFormat.recordSource
        try members.each { (member) throws(Rejection) in
            if member.hasKey("event_id") {
                id = try FieldRules.string(member, "event_id", limit: FieldRules.idLength)
            } else if member.hasKey("user_id") {
                userId = try FieldRules.string(member, "user_id", limit: FieldRules.textLength)
            } else if member.hasKey("event_name") {
                type = try FieldRules.string(member, "event_name", limit: FieldRules.textLength)
            } else if member.hasKey("event_time") {
                timestamp = try FieldRules.timestamp(member, "event_time")
            } else if member.hasKey("payload") {
                data = member.json
            } else {
                throw Self.unknown(member.key, known: "event_id, user_id, event_name, event_time and payload")
            }
        }
        try FieldRules.require(type, "event_name")
        data = data ?? JSONText(normalised: "{}")
    }

    fileprivate init(siteEvent members: borrowing JSONMembers) throws(Rejection) {
        self.init()
        var writer = JSONWriter()
        writer.beginObject()
        try members.each { (member) throws(Rejection) in
            if member.hasKey("site_id") {
                source = try FieldRules.string(member, "site_id", limit: FieldRules.textLength)
            } else if member.hasKey("event_type") {
                type = try FieldRules.string(member, "event_type", limit: FieldRules.textLength)
            } else if member.hasKey("user_id") {
                userId = try FieldRules.string(member, "user_id", limit: FieldRules.textLength)
            } else if member.hasKey("timestamp") {
                timestamp = try FieldRules.timestamp(member, "timestamp")
            } else if member.hasKey("path") {
                guard member.isNull || member.string != nil else {
                    throw Rejection(field: "path", code: .invalidType, message: "'path' must be a string.")
                }
                writer.member("path", member.string)
            } else {
                throw Self.unknown(member.key, known: "site_id, event_type, path, user_id and timestamp")
            }
        }
        try FieldRules.require(source, "site_id")
        try FieldRules.require(type, "event_type")
        writer.endObject()
        data = JSONText(normalised: writer.text)
    }

    fileprivate init(identity members: borrowing JSONMembers) throws(Rejection) {
        self.init()
        type = IdentityLink.eventType
        source = SimpleFormat.identitySource
        data = JSONText(normalised: "{}")
        try members.each { (member) throws(Rejection) in
            if member.hasKey("userId") {
                userId = try FieldRules.string(member, "userId", limit: FieldRules.textLength)
            } else if member.hasKey("anonymousId") {
                anonymousId = try FieldRules.string(member, "anonymousId", limit: FieldRules.textLength)
            } else if member.hasKey("id") {
                id = try FieldRules.string(member, "id", limit: FieldRules.idLength)
            } else if member.hasKey("timestamp") {
                timestamp = try FieldRules.timestamp(member, "timestamp")
            } else if member.hasKey("source") {
                source = try FieldRules.string(member, "source", limit: FieldRules.textLength) ?? source
            } else if member.hasKey("sessionId") {
                sessionId = try FieldRules.string(member, "sessionId", limit: FieldRules.textLength)
            } else {
                throw Self.unknown(member.key, known: "userId, anonymousId, id, timestamp, source and sessionId")
            }
        }
        try FieldRules.require(userId, "userId")
        try FieldRules.require(anonymousId, "anonymousId")
    }

    private static func unknown(_ key: String, known: String) -> Rejection {
        Rejection(field: key, code: .unknownField, message: "'\(key)' is not a field of this route; it accepts \(known).")
    }
}
