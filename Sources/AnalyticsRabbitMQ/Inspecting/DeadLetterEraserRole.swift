import AnalyticsCore

/// Looks once at every dead letter, and acknowledges those that are to be deleted. The others go back with the connection, as for
/// ``DeadLetterReaderRole``, whose lock this takes too.
///
/// All letters are taken, so that all of them go back together and keep their order: at most ``window``.
struct DeadLetterEraserRole: LinkRole {
    typealias Command = Never

    struct Outcome: Sendable {
        var erasure = DeadLetterErasure()
        /// Letters in the queue when it began.
        var waiting = 0
    }

    /// What a prefetch can say.
    static let window = UInt16.max

    private let topology: TopologyDeclaration
    private let isErased: @Sendable (DeadLetter) -> Bool?
    private let decoder = DeadLetterDecoder()
    private let deadline: Instant
    private var reply: ((Result<Outcome, BrokerError>) -> Void)?
    private var outcome = Outcome()
    private var seen = 0
    private var erased: [UInt64] = []
    private var isConsuming = false
    /// Another reader is at work, and there is time left to try again.
    private var isQueued = false
    private var incoming: IncomingMessage?

    /// `reply` is called once, at `deadline` or a moment later at the latest.
    init(
        topology: TopologyDeclaration, deadline: Instant, where isErased: @escaping @Sendable (DeadLetter) -> Bool?,
        reply: @escaping (Result<Outcome, BrokerError>) -> Void
    ) {
        self.topology = topology
        self.deadline = deadline
        self.isErased = isErased
        self.reply = reply
    }

    /// Acknowledgements have no answer; those written before the goodbye are read before it.
    var isDrained: Bool { true }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        let queue = topology.names.deadLetters
        guard try connection.declareExclusiveQueue("\(queue).reader") else {
            isQueued = Instant.now < deadline
            throw BrokerError(.owned, "another process reads the dead letters")
        }
        begin(waiting: try connection.inspect(queue).messages)
        guard outcome.waiting <= Int(Self.window) else {
            throw BrokerError(.unavailable, "\(outcome.waiting) dead letters are more than the \(Self.window) that can be looked through")
        }
    }

    mutating func accept(_ command: Never, now: Instant) {}

    /// With so many letters in the queue.
    mutating func begin(waiting: Int) {
        outcome = Outcome(waiting: waiting)
        (seen, erased) = (0, [])
    }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        switch frame {
        case .deliver(let tag): incoming = IncomingMessage(tag: tag)
        case .header(let header):
            incoming?.begin(header, keepsBody: header.bodySize <= DeadLetterLimit.maximumBytes)
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
        guard let incoming, incoming.isComplete else { return }
        self.incoming = nil
        seen += 1
        if incoming.keepsBody {
            if outcome.erasure.takes(incoming.body, decoder, where: isErased) { erased.append(incoming.tag) }
        } else {
            outcome.erasure.unread += 1
        }
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand {
        for tag in erased { output.acknowledge(tag, multiple: false) }
        erased = []
        guard reply != nil else { return LinkDemand() }
        if seen >= outcome.waiting { answer(.success(outcome)) }
        if now >= deadline { answer(.failure(BrokerError(.unavailable, "the broker has not delivered the dead letters in time"))) }
        guard reply != nil else { return LinkDemand() }
        if !isConsuming { output.consume(queue: topology.names.deadLetters, prefetch: Self.window) }
        isConsuming = true
        return LinkDemand(deadline: deadline)
    }

    private mutating func answer(_ result: Result<Outcome, BrokerError>) {
        reply?(result)
        reply = nil
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
