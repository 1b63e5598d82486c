import AnalyticsCore

extension StoredEvent {
    /// The event's document in MongoDB. Field names are not shortened, for people who query by hand.
    var document: [(String, BSON)] {
        var fields: [(String, BSON)] = [
            ("_id", Key.event(event.project, event.id)), ("type", .string(event.type)), ("source", .string(event.source)),
            ("timestamp", .date(event.timestamp)),
        ]
        fields.reserveCapacity(16)
        func add(_ name: String, _ value: BSON?) {
            if let value { fields.append((name, value)) }
        }
        add("clientTimestamp", event.clientTimestamp.map(BSON.date))
        add("data", event.data.map(BSON.json))
        add("correlationId", event.correlationId.map(BSON.string))
        add("metadata", event.metadata.map(BSON.json))
        add("userId", event.userId.map(BSON.string))
        add("anonymousId", event.anonymousId.map(BSON.string))
        add("visitorId", event.visitorId.map(BSON.string))
        add("sessionId", event.sessionId.map(BSON.string))
        add("context", context.map(BSON.json))
        add("receivedAt", .date(event.receivedAt))
        add("processedAt", .date(processedAt))
        add("receipt", .string(event.ingestID))
        add("fingerprint", .integer(fingerprint))
        return fields
    }

    /// `nil` for a document that this adapter did not write.
    init?(_ document: BSONView) {
        var fields: [String: BSONElement] = [:]
        guard document.each({ fields[$0.key] = $0 }) else { return nil }
        guard let key = fields["_id"]?.document, let project = key["project"]?.string.flatMap({ ProjectID($0) }),
            let id = key["id"]?.string,
            let type = fields["type"]?.string, let source = fields["source"]?.string, let timestamp = fields["timestamp"]?.date,
            let receivedAt = fields["receivedAt"]?.date, let processedAt = fields["processedAt"]?.date,
            let ingestID = fields["receipt"]?.string, let fingerprint = fields["fingerprint"]?.integer
        else { return nil }
        var isWhole = true
        /// A missing field is allowed; an unreadable one is not.
        func optional<Value>(_ name: String, _ read: (BSONElement) -> Value?) -> Value? {
            guard let field = fields[name] else { return nil }
            let value = read(field)
            if value == nil { isWhole = false }
            return value
        }
        self.init(
            event: Event(
                project: project, id: id, type: type, source: source, timestamp: timestamp,
                clientTimestamp: optional("clientTimestamp", \.date), data: optional("data", \.json),
                correlationId: optional("correlationId", \.string), metadata: optional("metadata", \.json),
                userId: optional("userId", \.string), anonymousId: optional("anonymousId", \.string),
                visitorId: optional("visitorId", \.string), sessionId: optional("sessionId", \.string), receivedAt: receivedAt,
                ingestID: ingestID
            ),
            processedAt: processedAt, context: optional("context", \.json), fingerprint: fingerprint
        )
        if !isWhole { return nil }
    }
}
