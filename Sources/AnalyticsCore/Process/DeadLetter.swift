internal import AnalyticsJSON
internal import FoundationEssentials

/// An event, or a whole delivery, that processing gave up on for good: everything needed to understand it and to replay it.
public struct DeadLetter: Sendable, Equatable {
    public var reason: DeadLetterReason
    /// What the store or the decoder said.
    public var error: String
    /// Deliveries so far.
    public var attempts: Int
    public var at: Timestamp
    public var project: ProjectID?
    public var eventId: String?
    /// What was on the queue: an envelope of one event, or the bytes of a whole delivery that was dead-lettered.
    public var original: [UInt8]
}

/// Stable names: dashboards and alerts rely on them.
public enum DeadLetterReason: String, Sendable, CaseIterable {
    /// The delivery's bytes are no envelope that this version understands.
    case undecodable
    /// The store will never take this event.
    case refused = "refused_by_store"
    /// The id was taken by an event with other content, which stays.
    case conflict = "conflicting_id"
    /// The event came after its time was closed: it is older than the retention by more than the margin. It is not counted, unless an
    /// earlier delivery of it was.
    case expired
    /// The delivery came again and again without ever being finished: it may be what kills its processor.
    case redelivered = "too_many_deliveries"

    /// Whether the letter holds a message that can be read, of one event; else the bytes of a whole delivery, of which nothing is known.
    var keepsMessage: Bool {
        switch self {
        case .refused, .conflict, .expired: true
        case .undecodable, .redelivered: false
        }
    }
}

extension DeadLetter {
    /// `{"v":1,"reason":…,"error":…,"attempts":…,"at":…,"project":…,"eventId":…,"original":…}`; `original` is the event as a
    /// envelope of its own, or, under `originalBase64`, the bytes of a whole delivery: nothing is known of those, least of all that they are JSON.
    /// ``DeadLetterDecoder`` reads it.
    func message() -> OutgoingMessage {
        var writer = JSONWriter(reservingCapacity: original.count + 512)
        writer.beginObject()
        writer.member("v", 1)
        writer.member("reason", reason.rawValue)
        writer.member("error", error)
        writer.member("attempts", Int64(attempts))
        writer.member("at", at.milliseconds)
        writer.member("project", project?.name)
        writer.member("eventId", eventId)
        if reason.keepsMessage {
            writer.key("original")
            writer.json(original)
        } else {
            writer.member("originalBase64", Data(original).base64EncodedString())
        }
        writer.endObject()
        return OutgoingMessage(body: writer.bytes, events: 1)
    }
}
