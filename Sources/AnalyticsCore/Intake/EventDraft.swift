public import AnalyticsJSON

/// The fields of one event as the client sent them: validated, not yet stamped. Made by each ``IntakeFormat``.
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
