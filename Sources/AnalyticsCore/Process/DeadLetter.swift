internal import AnalyticsJSON
internal import FoundationEssentials

/// An event, or a whole delivery, that cannot be processed, with everything needed to understand and replay it.
public struct DeadLetter: Sendable, Equatable {
    public var reason: DeadLetterReason
    /// The error of the store or the decoder.
    public var error: String
    /// Deliveries so far.
    public var attempts: Int
    public var at: Timestamp
    public var project: ProjectID?
    public var eventId: String?
    /// An envelope of one event, or the bytes of a whole delivery.
    public var original: [UInt8]
}

/// Stable names: dashboards and alerts depend on them.
public enum DeadLetterReason: String, Sendable, CaseIterable {
    /// The delivery's bytes are not an envelope that this version can read.
    case undecodable
    /// The store will never accept this event.
    case refused = "refused_by_store"
    /// The id was taken by an event with other content, which is kept.
    case conflict = "conflicting_id"
    /// The event arrived after its time was closed: it is older than the retention plus the margin. It is not counted, unless an earlier
    /// delivery was.
    case expired
    /// The delivery was redelivered many times and never finished: it may crash the processor.
    case redelivered = "too_many_deliveries"

    /// Whether the letter contains a readable message of one event; otherwise it contains the unread bytes of a whole delivery.
    var keepsMessage: Bool {
        switch self {
        case .refused, .conflict, .expired: true
        case .undecodable, .redelivered: false
        }
    }
}

extension DeadLetter {
    /// `{"v":1,"reason":…,"error":…,"attempts":…,"at":…,"project":…,"eventId":…,"original":…}`. `original` is an envelope of the one event.
    /// For a whole delivery, `originalBase64` has its bytes instead, as they may not be JSON. Read by ``DeadLetterDecoder``.
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
