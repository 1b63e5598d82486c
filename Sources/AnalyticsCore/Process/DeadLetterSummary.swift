/// What may be shown of a dead letter: whose it is and why it is there. Nothing of what the events say, and neither address nor user agent.
public struct DeadLetterSummary: Sendable, Equatable {
    /// Of the message in the queue.
    public var size: Int
    /// Why nothing else is known; `nil` when the letter was read.
    public var unreadable: String?
    public var reason: DeadLetterReason?
    public var error: String?
    public var attempts: Int?
    public var at: Timestamp?
    public var project: ProjectID?
    /// The request that brought the events.
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

    /// Whole deliveries are not parsed: that may be what kept ending the processor.
    private mutating func read(_ letter: DeadLetter) {
        guard letter.reason.keepsMessage, let envelope = try? EnvelopeDecoder().decode(letter.original) else { return }
        request = envelope.events.first?.ingestIDParts.request
        project = project ?? envelope.events.first?.project
        eventIds = envelope.events.map(\.id)
    }
}
