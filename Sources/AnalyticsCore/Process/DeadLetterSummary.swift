/// The part of a dead letter that may be shown: its project and its reason, but no event content, address or user agent.
public struct DeadLetterSummary: Sendable, Equatable {
    /// Size of the message in the queue.
    public var size: Int
    /// Why the letter could not be read; otherwise `nil`.
    public var unreadable: String?
    public var reason: DeadLetterReason?
    public var error: String?
    public var attempts: Int?
    public var at: Timestamp?
    public var project: ProjectID?
    /// The request that sent the events.
    public var request: String?
    public var eventIds: [String] = []

    public init(_ letter: QueuedDeadLetter) {
        size = letter.size
        switch letter.content {
        case .failure(let error): unreadable = error.message
        case .success(let letter):
            reason = letter.reason
            error = letter.error
            attempts = letter.attempts
            at = letter.at
            project = letter.project
            eventIds = [letter.eventId].compactMap(\.self)
            read(letter)
        }
    }

    /// Whole deliveries are not parsed: parsing may be what crashed the processor.
    private mutating func read(_ letter: DeadLetter) {
        guard letter.reason.keepsMessage, let envelope = try? EnvelopeDecoder().decode(letter.original) else { return }
        request = envelope.events.first?.ingestIDParts.request
        project = project ?? envelope.events.first?.project
        eventIds = envelope.events.map(\.id)
    }
}
