import AnalyticsCore

/// Reads one page of the dead letters, on a connection of its own that ends with it.
///
/// AMQP shows a message only by delivering it. What a connection has not acknowledged goes back when the connection ends; a quorum queue
/// then delivers it in its old order before what was never delivered, but behind what other connections have given back earlier
/// (rabbit_fifo, `returns`; https://github.com/rabbitmq/rabbitmq-server/issues/6804). So each reading takes the same ``window``, however
/// short its page: a shorter one would move the letters that it took behind the rest of a longer one. For the same reason one reads at a
/// time, and nothing is nacked: a quorum queue without a delivery limit moves that to its end.
///
/// Each reading raises the letters' delivery counts. The queue has no delivery limit (``Topology``): none is dropped for it.
struct DeadLetterReaderRole: LinkRole {
    typealias Command = Never

    struct Reading: Sendable {
        var page: DeadLetterPageBuilder
        /// Letters in the queue when the reading began.
        var waiting: Int
    }

    /// The same in all processes and versions.
    static let window = UInt16(DeadLetterLimit.maximumLetters)

    private let topology: TopologyDeclaration
    private let limit: DeadLetterLimit
    private let deadline: Instant
    private var reply: ((Result<Reading, BrokerError>) -> Void)?
    private var page: DeadLetterPageBuilder
    private var waiting = 0
    private var isConsuming = false
    /// Another reader is at work, and there is time left to try again.
    private var isQueued = false
    private var incoming: IncomingMessage?

    /// `reply` is called once, at `deadline` or a moment later at the latest.
    init(
        topology: TopologyDeclaration, limit: DeadLetterLimit, deadline: Instant, reply: @escaping (Result<Reading, BrokerError>) -> Void
    ) {
        self.topology = topology
        self.limit = limit
        self.deadline = deadline
        self.reply = reply
        page = DeadLetterPageBuilder(limit)
    }

    /// What was delivered goes back by itself.
    var isDrained: Bool { true }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        let queue = topology.names.deadLetters
        guard try connection.declareExclusiveQueue("\(queue).reader") else {
            isQueued = Instant.now < deadline
            throw BrokerError(.owned, "another process reads the dead letters")
        }
        begin(waiting: try connection.inspect(queue).messages)
    }

    mutating func accept(_ command: Never, now: Instant) {}

    /// With so many letters in the queue.
    mutating func begin(waiting: Int) {
        self.waiting = waiting
    }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        switch frame {
        case .deliver(let tag): incoming = IncomingMessage(tag: tag)
        case .header(let header):
            switch page.room(for: header.bodySize) {
            case .none: return finishPage()
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
        if incoming.keepsBody { page.append(incoming.body) } else { page.append(sizeOnly: header.bodySize) }
        if page.count >= min(waiting, limit.letters) { finishPage() }
    }

    private mutating func finishPage() {
        answer(.success(Reading(page: page, waiting: waiting)))
    }

    private mutating func answer(_ result: Result<Reading, BrokerError>) {
        reply?(result)
        reply = nil
        incoming = nil
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand {
        guard reply != nil else { return LinkDemand() }
        if waiting == 0 { finishPage() }
        if now >= deadline { answer(.failure(BrokerError(.unavailable, "the broker has not delivered the dead letters in time"))) }
        guard reply != nil else { return LinkDemand() }
        if !isConsuming { output.consume(queue: topology.names.deadLetters, prefetch: Self.window) }
        isConsuming = true
        return LinkDemand(deadline: deadline)
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
