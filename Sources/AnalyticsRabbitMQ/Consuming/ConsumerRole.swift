import AnalyticsCore
import Synchronization

/// What a consumer's thread shows to others.
final class ConsumerGauge: Sendable {
    let outstanding = Atomic(0)
}

/// Consumes the events queue into a stream. The stream's buffer has no limit of its own: the broker sends at most `prefetch`
/// deliveries ahead of their acknowledgements.
struct ConsumerRole: LinkRole {
    /// A delivery whose content has not come completely.
    private struct Incoming {
        var tag: UInt64
        var header: ContentHeader?
        var body: [UInt8] = []
    }

    private let topology: TopologyDeclaration
    private let prefetch: UInt16
    private let settings: LinkSettings
    private let stream: AsyncStream<Delivery>.Continuation
    private let gauge: ConsumerGauge
    /// One for each connection, across all consumers of the process.
    private let makeEpoch: () -> UInt64
    private var epoch: UInt64 = 0
    private var acks = AckCoalescer()
    private var check = StallCheck()
    private var incoming: Incoming?

    init(
        topology: TopologyDeclaration, prefetch: UInt16, settings: LinkSettings, stream: AsyncStream<Delivery>.Continuation,
        gauge: ConsumerGauge, makeEpoch: @escaping () -> UInt64
    ) {
        self.topology = topology
        self.prefetch = prefetch
        self.settings = settings
        self.stream = stream
        self.gauge = gauge
        self.makeEpoch = makeEpoch
    }

    /// Acknowledgements have no answer; those written before the goodbye are read before it.
    var isDrained: Bool { true }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        epoch = makeEpoch()
        try connection.consume(topology.names.events, prefetch: prefetch)
    }

    mutating func accept(_ handles: [DeliveryHandle], now: Instant) {
        for handle in handles where handle.epoch == epoch { acks.acknowledge(handle.tag) }
    }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        switch frame {
        case .deliver(let tag): incoming = Incoming(tag: tag)
        case .header(let header):
            incoming?.header = header
            // No large reservation on the word of a header.
            incoming?.body.reserveCapacity(min(header.bodySize, 128 << 10))
            deliverIfComplete()
        case .body(let bytes):
            incoming?.body.append(contentsOf: bytes)
            deliverIfComplete()
        case .queueDeclared(let messages, let consumers):
            try check.seen(ready: messages, consumers: consumers, hasRoom: acks.outstanding < prefetch)
        case .consumerCancelled:
            topology.reportMissing(now: now)
            throw BrokerError(.unavailable, "the broker ended the consumer: the queue is gone")
        default: break
        }
    }

    private mutating func deliverIfComplete() {
        guard let incoming, let header = incoming.header, incoming.body.count >= header.bodySize else { return }
        self.incoming = nil
        check.delivered()
        acks.delivered()
        let handle = DeliveryHandle(epoch: epoch, tag: incoming.tag)
        stream.yield(Delivery(handle: handle, body: incoming.body, redeliveries: header.deliveryCount))
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkWish {
        for ack in acks.flush() { output.acknowledge(ack.tag, multiple: ack.multiple) }
        gauge.outstanding.store(acks.outstanding, ordering: .relaxed)
        if check.isDue(now: now, every: settings.consumerCheckInterval) { output.inspect(queue: topology.names.events) }
        return LinkWish(deadline: check.due)
    }

    mutating func disconnected(_ error: BrokerError, isRetrying: Bool) {
        acks = AckCoalescer()
        check = StallCheck()
        incoming = nil
        epoch = 0
        gauge.outstanding.store(0, ordering: .relaxed)
    }

    mutating func finish() {
        gauge.outstanding.store(0, ordering: .relaxed)
        stream.finish()
    }
}
