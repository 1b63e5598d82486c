public import AnalyticsJSON

/// One event as the queue carries it: validated, stamped and on its way. `(project, id)` is its identity.
public struct Event: Sendable, Equatable {
    /// Whose event it is. Part of every key, query and cache entry; ``Project/default`` until there are keys.
    public var project: ProjectID
    /// The client's, or a UUIDv7 made at ingest. 1–128 printable characters.
    public var id: String
    /// What happened. 1–200 characters.
    public var type: String
    /// Who says so. 1–200 characters.
    public var source: String
    /// When it happened; decides the bucket, and is fixed at ingest, so that a redelivery cannot land elsewhere.
    public var timestamp: Timestamp
    /// What the client sent as `timestamp`, in milliseconds. `nil` when it sent none and the time of receipt stands in.
    public var clientTimestamp: Timestamp?
    /// Any JSON, as normalised text. `nil` only for a CloudEvent without data.
    public var data: JSONText?
    public var correlationId: String?
    /// A JSON object, as normalised text.
    public var metadata: JSONText?
    public var userId: String?
    /// Of who is not known by a user id: a device, an installation.
    public var anonymousId: String?
    /// Made at ingest for an event with neither of these, where its project has visitor ids: 32 hexadecimal digits.
    public var visitorId: String?
    public var sessionId: String?
    /// When the API received it.
    public var receivedAt: Timestamp
    /// Names one ingestion of the event: request and position. The same id under another ingest id is a duplicate that a client sent;
    /// under the same ingest id it is a redelivery of the broker's.
    public var ingestID: String

    public init(
        project: ProjectID, id: String, type: String, source: String, timestamp: Timestamp, clientTimestamp: Timestamp? = nil,
        data: JSONText? = nil, correlationId: String? = nil, metadata: JSONText? = nil, userId: String? = nil,
        anonymousId: String? = nil, visitorId: String? = nil, sessionId: String? = nil, receivedAt: Timestamp, ingestID: String
    ) {
        self.project = project
        self.id = id
        self.type = type
        self.source = source
        self.timestamp = timestamp
        self.clientTimestamp = clientTimestamp
        self.data = data
        self.correlationId = correlationId
        self.metadata = metadata
        self.userId = userId
        self.anonymousId = anonymousId
        self.visitorId = visitorId
        self.sessionId = sessionId
        self.receivedAt = receivedAt
        self.ingestID = ingestID
    }
}

/// An event with what processing added: this is what a store keeps.
public struct StoredEvent: Sendable, Equatable {
    public var event: Event
    public var processedAt: Timestamp
    /// What enrichment found out, a JSON object as normalised text; `nil` when it found nothing.
    public var context: JSONText?
    /// Of what the client sent, without id, ingest id and time of receipt: tells a retry from the same id with other content.
    public var fingerprint: Int64

    public init(event: Event, processedAt: Timestamp, context: JSONText?, fingerprint: Int64) {
        self.event = event
        self.processedAt = processedAt
        self.context = context
        self.fingerprint = fingerprint
    }

    /// Whether enrichment took it for a bot's: `context.bot` is true.
    public var isBot: Bool {
        // Nearly no event is, and this costs a look at its context.
        guard let text = context?.text, text.holdsUTF8("\"bot\":true") else { return false }
        return (try? PropertyReader([.bot]).values { _ in PaddedBytes(text) }) == [[.boolean(true)]]
    }

    /// About the bytes that it takes in memory: those of its texts, and what holds them.
    public var size: Int {
        let texts =
            event.project.name.utf8.count + event.id.utf8.count + event.type.utf8.count + event.source.utf8.count
            + event.ingestID.utf8.count
        let optional = [
            event.correlationId, event.userId, event.anonymousId, event.visitorId, event.sessionId, event.data?.text, event.metadata?.text,
            context?.text,
        ]
        return optional.reduce(512 + texts) { $0 + ($1?.utf8.count ?? 0) }
    }
}
