internal import AnalyticsJSON

/// The content of one queue message, or of one section of it (``JoinedMessage``): events of one request.
///
/// JSON, so that an operator can read a dead letter: `{"v":1,"project":…,"request":…,"receivedAt":…,"address":…,"userAgent":…,
/// "country":…,"waits":1,"events":[{"n":0,"id":…,…}]}`, times in milliseconds. A reader accepts every `v` up to its own. Read by
/// ``EnvelopeDecoder``.
struct EventEnvelope: Equatable {
    var origin: RequestOrigin
    /// The request that waits for a ``DeliveryReport``.
    var requestToReport: String?
    var events: [Event]
}

/// Packs events into messages, limited by number and size.
struct EnvelopeEncoder {
    /// Maximum events per message. A message is also closed at ``targetBytes``; a single event may be larger. Small enough that a prefetch
    /// of hundreds of messages fits into memory, large enough that the broker's cost per message is negligible.
    static let maximumEvents = 100
    static let targetBytes = 48 * 1024
    /// A request of at most this many bytes may share a message with others.
    static let joinableBytes = 8 * 1024

    private let request: String
    private let origin: RequestOrigin
    private let reportRequested: Bool
    private var writer: JSONWriter
    private var count = 0
    private(set) var messages: [OutgoingMessage] = []

    init(request: String, origin: RequestOrigin, reportRequested: Bool = false) {
        self.request = request
        self.origin = origin
        self.reportRequested = reportRequested
        writer = JSONWriter()
    }

    mutating func append(_ event: Event, index: Int) {
        if count == 0 { begin(event) }
        writer.beginObject()
        writer.member("n", Int64(index))
        writer.member("id", event.id)
        writer.member("type", event.type)
        writer.member("source", event.source)
        writer.member("timestamp", event.timestamp.milliseconds)
        writer.member("clientTimestamp", event.clientTimestamp?.milliseconds)
        writer.member("data", event.data)
        writer.member("correlationId", event.correlationId)
        writer.member("metadata", event.metadata)
        writer.member("userId", event.userId)
        writer.member("anonymousId", event.anonymousId)
        writer.member("visitorId", event.visitorId)
        writer.member("sessionId", event.sessionId)
        writer.endObject()
        count += 1
        if count >= Self.maximumEvents || writer.count >= Self.targetBytes { close() }
    }

    mutating func finish() -> [OutgoingMessage] {
        if count > 0 { close() }
        if messages.count == 1, messages[0].body.count <= Self.joinableBytes { messages[0].isJoinable = true }
        return messages
    }

    private mutating func begin(_ event: Event) {
        writer = JSONWriter(reservingCapacity: Self.targetBytes + 4096)
        writer.beginObject()
        writer.member("v", EnvelopeVersion.single)
        writer.member("project", event.project.name)
        writer.member("request", request)
        writer.member("receivedAt", event.receivedAt.milliseconds)
        writer.member("address", origin.address)
        writer.member("userAgent", origin.userAgent)
        writer.member("country", origin.country?.code)
        if reportRequested { writer.member("waits", 1) }
        writer.key("events")
        writer.beginArray()
    }

    private mutating func close() {
        writer.endArray()
        writer.endObject()
        messages.append(OutgoingMessage(body: writer.bytes, events: count))
        count = 0
    }
}

extension EnvelopeEncoder {
    /// One event as an envelope: the content of a dead letter, and the message of a replay.
    static func single(_ event: Event, origin: RequestOrigin) -> [UInt8] {
        let (request, index) = event.ingestIDParts
        var encoder = EnvelopeEncoder(request: request, origin: origin)
        encoder.append(event, index: index)
        return encoder.finish()[0].body
    }
}

extension Event {
    /// An ingest id is "request:position".
    var ingestIDParts: (request: String, index: Int) {
        guard let (request, position) = ingestID.cutUTF8(atLast: ":"), let index = Int(position) else { return (ingestID, 0) }
        return (String(request), index)
    }
}
