import AnalyticsCore

/// What to do with the dead letters in one pass, in which each is delivered once.
protocol DeadLetterPass {
    associatedtype Outcome

    /// The number of letters taken, the same in all processes and versions.
    static var window: UInt16 { get }

    var outcome: Outcome { get }
    /// Whether the pass needs no more letters.
    var isComplete: Bool { get }

    /// `waiting`: the number of letters in the queue.
    mutating func begin(waiting: Int) throws(BrokerError)
    func room(for size: Int) -> DeadLetterPageBuilder.Room
    mutating func take(_ letter: IncomingMessage, size: Int)
    /// Letters to delete, each returned once.
    mutating func acknowledgements() -> [UInt64]
}

/// One pass through the dead letters, on its own connection that ends with it.
///
/// AMQP shows a message only by delivering it. Unacknowledged messages return to the queue when the connection ends. A quorum queue then
/// delivers them in their old order, before messages that were never delivered but after messages that other connections have returned
/// earlier (rabbit_fifo, `returns`; https://github.com/rabbitmq/rabbitmq-server/issues/6804). So all passes of a kind take the same
/// ``DeadLetterPass/window``, even if they need less: a shorter pass would move its letters after the rest of a longer one. For the same
/// reason only one pass runs at a time, and nothing is nacked: a quorum queue without a delivery limit moves nacked messages to its end.
///
/// Each pass raises the letters' delivery counts. The queue has no delivery limit (``Topology``), so none is dropped.
struct DeadLetterRole<Pass: DeadLetterPass>: LinkRole {
    typealias Command = Never
    typealias Outcome = Pass.Outcome

    private let topology: TopologyDeclaration
    private let deadline: Instant
    private var pass: Pass
    private var reply: ((Result<Outcome, BrokerError>) -> Void)?
    private var isConsuming = false
    /// Another pass is running, and there is time left to try again.
    private var isQueued = false
    private var incoming: IncomingMessage?

    static var window: UInt16 { Pass.window }

    /// `reply` is called once, at `deadline` or shortly after it at the latest.
    init(topology: TopologyDeclaration, deadline: Instant, pass: Pass, reply: @escaping (Result<Outcome, BrokerError>) -> Void) {
        self.topology = topology
        self.deadline = deadline
        self.pass = pass
        self.reply = reply
    }

    /// Deliveries return to the queue automatically. Acknowledgements have no reply. The broker reads those written before the close,
    /// before it confirms the close.
    var isDrained: Bool { true }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        let queue = topology.names.deadLetters
        guard try connection.declareExclusiveQueue("\(queue).reader") else {
            isQueued = Instant.now < deadline
            throw BrokerError(.owned, "another process reads the dead letters")
        }
        try begin(waiting: try connection.inspect(queue).messages)
    }

    mutating func accept(_ command: Never, now: Instant) {}

    mutating func begin(waiting: Int) throws(BrokerError) { try pass.begin(waiting: waiting) }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        switch frame {
        case .deliver(let tag): incoming = reply == nil || pass.isComplete ? nil : IncomingMessage(tag: tag)
        case .header(let header):
            guard incoming != nil else { return }
            switch pass.room(for: header.bodySize) {
            case .none: return answer(.success(pass.outcome))
            case .body: incoming?.begin(header, keepsBody: true)
            case .sizeOnly: incoming?.begin(header, keepsBody: false)
            }
            takeIfComplete()
        case .body(let bytes):
            incoming?.append(bytes)
            takeIfComplete()
        case .consumerCancelled:
            topology.reportMissing(now: now)
            throw BrokerError(.unavailable, "the broker ended the reading: the queue is gone")
        default: break
        }
    }

    private mutating func takeIfComplete() {
        guard let incoming, let header = incoming.header, incoming.isComplete else { return }
        self.incoming = nil
        pass.take(incoming, size: header.bodySize)
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand {
        for tag in pass.acknowledgements() { output.acknowledge(tag, multiple: false) }
        guard reply != nil else { return LinkDemand() }
        if pass.isComplete {
            answer(.success(pass.outcome))
        } else if now >= deadline {
            answer(.failure(BrokerError(.unavailable, "the broker has not delivered the dead letters in time")))
        }
        guard reply != nil else { return LinkDemand() }
        if !isConsuming { output.consume(queue: topology.names.deadLetters, prefetch: Pass.window) }
        isConsuming = true
        return LinkDemand(deadline: deadline)
    }

    private mutating func answer(_ result: Result<Outcome, BrokerError>) {
        reply?(result)
        (reply, incoming) = (nil, nil)
    }

    mutating func disconnected(_ error: BrokerError, isRetrying: Bool) {
        isConsuming = false
        incoming = nil
        if !isQueued { answer(.failure(error)) }
        isQueued = false
    }

    mutating func finish() {
        disconnected(BrokerError(.unavailable, "the reading was ended"), isRetrying: false)
    }
}
