import AnalyticsCore
import Logging
import Synchronization

/// The consumer's state that other threads may read.
final class ConsumerGauge: Sendable {
    let outstanding = Atomic(0)
}

/// Consumes the events queue, with one session per connection, each begun on request.
///
/// Deliveries that wait to be taken are limited in number by the prefetch, which the broker must observe, and in bytes by
/// ``LinkSettings/consumedBytes``.
struct ConsumerRole: LinkRole {
    enum Command: Sendable {
        /// The previous session, if any, has ended, and another is wanted.
        case consume
        case acknowledge([DeliveryHandle])
    }

    /// Far more than a message of this service: one event has at most 8 MiB (MAX_EVENT_BYTES). The body of a larger message is dropped;
    /// the message goes to the dead letters.
    static let largestBody = 64 << 20

    private let topology: TopologyDeclaration
    /// `nil` in tests, in which no other process can claim the queue.
    private var claim: QueueClaim?
    private let prefetch: UInt16
    private let settings: LinkSettings
    private let consumer: QueueConsumer
    private let gauge: ConsumerGauge
    private let logger: Logger
    /// One epoch per session, unique across all consumers of the process.
    private let makeEpoch: () -> UInt64
    private var isWanted = false
    private var session: DeliverySession?
    /// The prefetch of the session.
    private var limit: UInt16
    /// The prefetch of the next session, after a session with too many bytes.
    private var nextLimit: UInt16?
    private var acks = AckCoalescer()
    private var check = ConsumerWatchdog()
    private var incoming: IncomingMessage?
    /// Tags of messages that were too large; they are rejected.
    private var refused: [UInt64] = []

    init(
        topology: TopologyDeclaration, claim: QueueClaim? = nil, prefetch: UInt16, settings: LinkSettings, consumer: QueueConsumer,
        gauge: ConsumerGauge, logger: Logger, makeEpoch: @escaping () -> UInt64
    ) {
        self.topology = topology
        self.claim = claim
        self.prefetch = prefetch
        self.settings = settings
        self.consumer = consumer
        self.gauge = gauge
        self.logger = logger
        self.makeEpoch = makeEpoch
        limit = prefetch
    }

    /// Acknowledgements have no reply. The broker reads those written before the close, before it confirms the close.
    var isDrained: Bool { true }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        let names = topology.names
        try claim?.make(of: names, on: connection, now: .now)
    }

    mutating func accept(_ command: Command, now: Instant) {
        switch command {
        case .consume: isWanted = true
        case .acknowledge(let handles): for handle in handles where handle.epoch == session?.epoch { acks.acknowledge(handle.tag) }
        }
    }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        switch frame {
        case .deliver(let tag): incoming = IncomingMessage(tag: tag)
        case .header(let header):
            incoming?.begin(header, keepsBody: header.bodySize <= Self.largestBody)
            try deliverIfComplete()
        case .body(let bytes):
            incoming?.append(bytes)
            try deliverIfComplete()
        case .queueDeclared(let messages, let consumers):
            try check.seen(ready: messages, consumers: consumers, hasRoom: acks.outstanding < limit)
        case .consumerCancelled:
            topology.reportMissing(now: now)
            throw BrokerError(.unavailable, "the broker ended the consumer: the queue is gone")
        default: break
        }
    }

    private mutating func deliverIfComplete() throws(BrokerError) {
        guard let session, let incoming, let header = incoming.header, incoming.isComplete else { return }
        self.incoming = nil
        check.delivered()
        guard incoming.keepsBody else {
            refused.append(incoming.tag)
            acks.rejected()
            logger.error(
                "A message is too large to be read and goes to the dead letters as it is",
                metadata: ["bytes": "\(header.bodySize)", "limit": "\(Self.largestBody)"])
            return
        }
        acks.delivered()
        guard acks.outstanding <= limit else { throw BrokerError(.unavailable, "the broker delivers more than the prefetch") }
        let handle = DeliveryHandle(epoch: session.epoch, tag: incoming.tag)
        let bytes = session.deliver(Delivery(handle: handle, body: incoming.body, redeliveries: header.deliveryCount))
        // A single message is accepted at any size; otherwise it could never be delivered.
        guard bytes <= settings.consumedBytes || bytes == incoming.body.count else {
            nextLimit = UInt16(clamping: max(1, acks.outstanding / 2))
            throw BrokerError(.unavailable, "\(acks.outstanding) deliveries hold too many bytes; consuming fewer at a time")
        }
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand {
        if isWanted, session == nil { consume(&output) }
        for tag in refused { output.reject(tag) }
        refused = []
        for ack in acks.flush() { output.acknowledge(ack.tag, multiple: ack.multiple) }
        gauge.outstanding.store(acks.outstanding, ordering: .relaxed)
        guard session != nil else { return LinkDemand() }
        if check.isDue(now: now, every: settings.consumerCheckInterval) { output.inspect(queue: topology.names.events) }
        return LinkDemand(deadline: check.due)
    }

    private mutating func consume(_ output: inout FrameWriter) {
        limit = nextLimit ?? prefetch
        nextLimit = nil
        isWanted = false
        output.consume(queue: topology.names.events, prefetch: limit)
        session = consumer.begin(epoch: makeEpoch())
    }

    mutating func disconnected(_ error: BrokerError, isRetrying: Bool) {
        session?.lose()
        session = nil
        acks = AckCoalescer()
        check = ConsumerWatchdog()
        incoming = nil
        refused = []
        gauge.outstanding.store(0, ordering: .relaxed)
        if error.code == .owned { consumer.finish(throwing: error) }
    }

    mutating func finish() {
        gauge.outstanding.store(0, ordering: .relaxed)
        consumer.finish()
    }
}
