import AnalyticsCore
import DequeModule

/// Publishes with confirms: calls wait in order for room in the window of unconfirmed messages.
///
/// Waiting calls are refused with a reason if there is no connection, while the broker is blocked, and at their deadline. During
/// an attempt to connect that follows at once on a start or a lost connection, they wait.
///
/// Small requests share messages while the broker is busy (``JoinedMessage``): if ``LinkSettings/joinableWindow`` of them are in flight,
/// new ones wait, and the next message takes those waiting behind it. If nothing is in flight, nothing waits.
struct PublisherRole: LinkRole {
    enum Command: Sendable {
        case publish(PublishCall)
        /// Replies with the error that a publish would get.
        case checkHealth(@Sendable (BrokerError?) -> Void)
    }

    private enum State {
        case connecting
        case connected
        case down(BrokerError)
    }

    /// The calls that wait for a message, each with the index of its own message; several if messages were joined.
    private struct Token {
        var parts: [(call: PendingCall, index: Int)]
    }

    private let topology: TopologyDeclaration
    private let settings: LinkSettings
    private var state = State.connecting
    private var frameSize = 4096
    private var waiting: Deque<PendingCall> = []
    private var healthChecks: [(BrokerError?) -> Void] = []
    private var tracker = ConfirmTracker<Token>()
    private var blocked: (since: Instant, reason: String)?
    /// The broker reads nothing while it is blocked, so the confirm timeout counts from the end of the block.
    private var unblockedAt: Instant?
    /// The reason of a return whose content has not arrived yet.
    private var returnReason: String?
    /// A message was returned: the queue or its binding is missing. Both are declared again on a new connection, as soon as nothing is in
    /// flight.
    private var isUnroutable = false

    init(topology: TopologyDeclaration, settings: LinkSettings) {
        self.topology = topology
        self.settings = settings
    }

    var isDrained: Bool { waiting.isEmpty && tracker.isEverybodyTold }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        try connection.selectConfirms()
        frameSize = connection.frameSize
        state = .connected
        for check in take(&healthChecks) { check(nil) }
    }

    mutating func accept(_ command: Command, now: Instant) {
        switch command {
        case .publish(let call):
            let call = PendingCall(call)
            if let obstacle { call.refuseRest(obstacle.message) } else { waiting.append(call) }
        case .checkHealth(let reply):
            if case .connecting = state { healthChecks.append(reply) } else { reply(obstacle) }
        }
    }

    private var obstacle: BrokerError? {
        if case .down(let error) = state { return error }
        return blocked.map { BrokerError(.blocked, "the broker is blocked: \($0.reason)") }
    }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        switch frame {
        case .acknowledged(let sequence, let multiple): settle(tracker.acknowledged(sequence, multiple: multiple))
        case .refused(let sequence, let multiple): settle(tracker.refused(sequence, multiple: multiple))
        case .returned(let reason): returnReason = reason
        case .header(let header):
            guard let reason = returnReason else { return }
            // The ack still follows and would confirm the message.
            guard let sequence = header.sequence else { throw FrameDecoder.refused("back a message without its number") }
            tracker.returned(sequence, reason: reason)
            returnReason = nil
            isUnroutable = true
            topology.reportMissing(now: now)
        case .blocked(let reason):
            blocked = (now, reason)
            refuseWaiting("the broker is blocked: \(reason)")
        case .unblocked:
            blocked = nil
            unblockedAt = now
        default: break
        }
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand {
        while let call = waiting.first, call.deadline <= now {
            waiting.removeFirst()
            call.refuseRest("the publisher is too busy")
        }
        settle(tracker.expire(now: now))
        if let blocked {
            let end = blocked.since + settings.blockedGrace
            if now >= end { settle(tracker.giveUp("the broker is blocked: \(blocked.reason)")) }
            return LinkDemand(deadline: [tracker.deadline, now < end ? end : nil].compactMap(\.self).min())
        }
        if isUnroutable && tracker.messagesInFlight == 0 {
            throw BrokerError(.unavailable, "messages were returned: the queue is missing and is declared again")
        }
        let suspect = tracker.oldest.map { max($0, unblockedAt ?? $0) + settings.confirmTimeout }
        if let suspect, now >= suspect { throw BrokerError(.unavailable, "the broker has confirmed nothing in time") }
        let hasMore = isUnroutable ? false : send(now: now, output: &output)
        return LinkDemand(hasMore: hasMore, deadline: [tracker.deadline, suspect, waiting.first?.deadline].compactMap(\.self).min())
    }

    /// Sends what the window allows. Returns whether the output buffer was the limit.
    private mutating func send(now: Instant, output: inout FrameWriter) -> Bool {
        while let call = waiting.first {
            guard let (index, message) = call.next else {
                waiting.removeFirst()
                continue
            }
            let hasRoom =
                tracker.messagesInFlight < settings.windowMessages
                && tracker.bytesInFlight + message.body.count <= settings.windowBytes
            // With nothing in flight, a message of any size may be sent.
            guard hasRoom || tracker.messagesInFlight == 0 else { return false }
            guard !message.isJoinable || tracker.joinableInFlight < settings.joinableWindow else { return false }
            guard output.count < settings.outputBytes else { return true }
            call.advance()
            var token = Token(parts: [(call, index)])
            let joined = join(message, of: call, &token)
            let sequence = tracker.published(
                token, bytes: joined.body.count, isJoinable: joined.isJoinable, now: now, deadline: call.deadline)
            let exchange = topology.names.name(of: call.queue)
            output.publish(joined, sequence: sequence, exchange: exchange, routingKey: Topology.routingKey, frameSize: frameSize)
        }
        return false
    }

    /// Joins the calls that wait behind the first one, in order, as long as they are joinable.
    private mutating func join(_ message: OutgoingMessage, of first: PendingCall, _ token: inout Token) -> OutgoingMessage {
        var joined = JoinedMessage(message)
        while first.next == nil, waiting.count > 1 {
            let call = waiting[1]
            guard call.queue == first.queue, let (index, next) = call.next, joined.add(next) else { break }
            call.advance()
            token.parts.append((call, index))
            if call.next == nil { waiting.remove(at: 1) }
        }
        return joined.message
    }

    mutating func disconnected(_ error: BrokerError, isRetrying: Bool) {
        settle(tracker.reset(error.message))
        blocked = nil
        unblockedAt = nil
        returnReason = nil
        isUnroutable = false
        state = isRetrying ? .connecting : .down(error)
        guard !isRetrying else { return }
        refuseWaiting(error.message)
        for check in take(&healthChecks) { check(error) }
    }

    mutating func finish() {
        disconnected(BrokerError(.unavailable, "the publisher is shutting down"), isRetrying: false)
    }

    private mutating func refuseWaiting(_ reason: String) {
        for call in take(&waiting) { call.refuseRest(reason) }
    }

    private func settle(_ settlements: [ConfirmTracker<Token>.Settlement]) {
        for settlement in settlements {
            for (call, index) in settlement.token.parts { call.settle(index, settlement.outcome) }
        }
    }

    private func take<C: RangeReplaceableCollection>(_ collection: inout C) -> C {
        defer { collection = C() }
        return collection
    }
}
