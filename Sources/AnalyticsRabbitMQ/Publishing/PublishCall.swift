import AnalyticsCore

/// One call of `publish`, as passed to the publisher's thread.
struct PublishCall: Sendable {
    var messages: [OutgoingMessage]
    var queue: QueueName
    /// When the caller gets a reply at the latest.
    var deadline: Instant
    var reply: @Sendable ([PublishOutcome]) -> Void
}

/// A call on the publisher's thread: yields its messages in order, collects their outcomes and replies once.
final class PendingCall {
    let queue: QueueName
    let deadline: Instant
    private let messages: [OutgoingMessage]
    private let reply: ([PublishOutcome]) -> Void
    private var outcomes: [PublishOutcome]
    private var unsettled: Int
    private var nextIndex = 0

    init(_ call: PublishCall) {
        queue = call.queue
        deadline = call.deadline
        messages = call.messages
        reply = call.reply
        outcomes = Array(repeating: .unconfirmed("not settled"), count: call.messages.count)
        unsettled = call.messages.count
    }

    /// The next message to send, and its index; `nil` if all are sent.
    var next: (index: Int, message: OutgoingMessage)? {
        nextIndex < messages.count ? (nextIndex, messages[nextIndex]) : nil
    }

    func advance() { nextIndex += 1 }

    func settle(_ index: Int, _ outcome: PublishOutcome) {
        outcomes[index] = outcome
        unsettled -= 1
        if unsettled == 0 { reply(outcomes) }
    }

    /// Settles the messages that have not been sent; they will not be sent.
    func refuseRest(_ reason: String) {
        while nextIndex < messages.count {
            nextIndex += 1
            settle(nextIndex - 1, .unconfirmed(reason))
        }
    }
}
