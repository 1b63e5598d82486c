import AnalyticsCore

/// What one caller of `publish` hands to the publisher's thread.
struct PublishCall: Sendable {
    var messages: [OutgoingMessage]
    var queue: QueueName
    /// When the caller gets an answer at the latest.
    var deadline: Instant
    var reply: @Sendable ([PublishOutcome]) -> Void
}

/// A call on the publisher's thread: hands out its messages one by one, gathers their outcomes and answers once.
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

    /// The next message to be sent, and its index; `nil` when all have been.
    var next: (index: Int, message: OutgoingMessage)? {
        nextIndex < messages.count ? (nextIndex, messages[nextIndex]) : nil
    }

    func advance() { nextIndex += 1 }

    func settle(_ index: Int, _ outcome: PublishOutcome) {
        outcomes[index] = outcome
        unsettled -= 1
        if unsettled == 0 { reply(outcomes) }
    }

    /// Settles what has not been sent; it never will be.
    func refuseRest(_ reason: String) {
        while nextIndex < messages.count {
            nextIndex += 1
            settle(nextIndex - 1, .unconfirmed(reason))
        }
    }
}
