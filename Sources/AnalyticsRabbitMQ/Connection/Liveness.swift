/// Heartbeats of one connection: decides when to send one and when the other side counts as gone
/// (https://www.rabbitmq.com/docs/heartbeats). Any byte counts, in both directions.
struct Liveness {
    enum Action: Equatable {
        case none
        case beat
        case giveUp
    }

    /// As negotiated; zero switches heartbeats off.
    private let heartbeat: Duration
    private var lastSent: Instant
    private var lastReceived: Instant

    init(heartbeat: Duration, now: Instant) {
        self.heartbeat = heartbeat
        lastSent = now
        lastReceived = now
    }

    mutating func sent(now: Instant) { lastSent = now }
    mutating func received(now: Instant) { lastReceived = now }

    /// When ``action(now:)`` has to be called next. While the socket is full (an alarm on the broker) no heartbeat can be sent, so none is
    /// due; otherwise the wait would be a busy loop.
    func due(canSend: Bool) -> Instant? {
        guard heartbeat > .zero else { return nil }
        let silence = lastReceived + heartbeat * 2
        return canSend ? min(lastSent + heartbeat / 2, silence) : silence
    }

    func action(now: Instant) -> Action {
        guard heartbeat > .zero else { return .none }
        if now >= lastReceived + heartbeat * 2 { return .giveUp }
        return now >= lastSent + heartbeat / 2 ? .beat : .none
    }
}
