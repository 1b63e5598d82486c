public import AnalyticsJSON

/// An event as the queue carries it: validated and stamped. `(project, id)` is its identity.
public struct Event: Sendable, Equatable {
    /// Part of every key, query and cache entry; `default` without authentication.
    public var project: ProjectID
    /// Sent by the client, or a UUIDv7 made at ingest. 1–128 printable characters.
    public var id: String
    /// What happened. 1–200 characters.
    public var type: String
    /// The sender. 1–200 characters.
    public var source: String
    /// When it happened. It decides the bucket and is fixed at ingest, so a redelivery falls into the same bucket.
    public var timestamp: Timestamp
    /// The client's `timestamp`. `nil` if it sent none and ``timestamp`` is the time of receipt.
    public var clientTimestamp: Timestamp?
    /// Any JSON, as normalised text. `nil` only for a CloudEvent without data.
    public var data: JSONText?
    public var correlationId: String?
    /// A JSON object, as normalised text.
    public var metadata: JSONText?
    public var userId: String?
    /// For an actor without a user id: a device or an installation.
    public var anonymousId: String?
    /// Made at ingest for an event without user id and anonymous id, if its project has visitor ids: 32 hexadecimal digits.
    public var visitorId: String?
    public var sessionId: String?
    /// When the API received it.
    public var receivedAt: Timestamp
    /// Identifies one ingestion of the event: request and position. The same event id with another ingest id is a duplicate from a client;
    /// with the same ingest id it is a redelivery by the broker.
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

/// An event with the results of processing, as a store keeps it.
public struct StoredEvent: Sendable, Equatable {
    public var event: Event
    public var processedAt: Timestamp
    /// Result of enrichment, a JSON object as normalised text; `nil` if empty.
    public var context: JSONText?
    /// Hash of the client's content, without id, ingest id and time of receipt. It distinguishes a retry from other content under the same
    /// id.
    public var fingerprint: Int64

    public init(event: Event, processedAt: Timestamp, context: JSONText?, fingerprint: Int64) {
        self.event = event
        self.processedAt = processedAt
        self.context = context
        self.fingerprint = fingerprint
    }

    /// Whether enrichment classified the sender as a bot: `context.bot` is true.
    public var isBot: Bool {
        // Most events are not from bots, and parsing every context would be slow.
        guard let text = context?.text, text.holdsUTF8("\"bot\":true") else { return false }
        return (try? PropertyReader([.bot]).values { _ in PaddedBytes(text) }) == [[.boolean(true)]]
    }

    /// Approximate size in memory in bytes: its texts and their overhead.
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
