public import AnalyticsJSON

/// What a client sent of one event, read and checked field by field; not stamped yet. Each ``IntakeFormat`` makes these.
public struct EventDraft: Sendable {
    public var id: String?
    public var type: String?
    public var source: String?
    public var timestamp: Timestamp?
    public var data: JSONText?
    public var correlationId: String?
    public var metadata: JSONText?
    public var userId: String?
    public var anonymousId: String?
    public var sessionId: String?

    public init() {}
}
