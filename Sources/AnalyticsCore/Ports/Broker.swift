/// Carries accepted events from the API to the processor, and stores them durably in between.
///
/// Two adapters, one contract: RabbitMQ, and a queue in SQLite for the single-process service.
public typealias Broker = EventPublisher & EventConsumer & QueueInspector & DeadLetterReader & DeadLetterEraser

public protocol EventPublisher: Sendable {
    /// Publishes persistent messages and waits for the broker's confirm of each.
    ///
    /// Returns one outcome per message, in order, within the adapter's confirm timeout. Never throws: in an outage the outcome is
    /// ``PublishOutcome/unconfirmed(_:)`` for each affected message, which may or may not have arrived.
    func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome]
}

public enum QueueName: String, Sendable, CaseIterable {
    case events
    case deadLetters
}

public struct OutgoingMessage: Sendable, Equatable {
    public var body: [UInt8]
    /// Number of events in the body; for the broker's headers and for metrics.
    public var events: Int
    /// Whether a busy adapter may join it with other messages (``JoinedMessage``).
    public var isJoinable: Bool

    public init(body: [UInt8], events: Int, isJoinable: Bool = false) {
        self.body = body
        self.events = events
        self.isJoinable = isJoinable
    }
}

public enum PublishOutcome: Sendable, Equatable {
    /// The broker has stored it durably.
    case confirmed
    /// The broker refused it or did not answer: not accepted.
    case unconfirmed(String)
}

public protocol EventConsumer: Sendable {
    /// Consumes the events queue while `body` runs, with at most `prefetch` deliveries unacknowledged at a time.
    ///
    /// Survives outages: the adapter reconnects with backoff, and each connection is a ``DeliverySession`` of its own. Returns after `body`
    /// has returned and its acknowledgements are sent; unacknowledged deliveries are delivered again. Throws what `body` throws.
    func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws
}

public struct Delivery: Sendable, Equatable {
    public var handle: DeliveryHandle
    public var body: [UInt8]
    /// Number of earlier deliveries that were not acknowledged: 0 the first time, at most ``maximumRedeliveries``.
    public let redeliveries: Int

    /// The broker's number may come from a publisher's header, so it is untrusted; the limit keeps sums from overflow.
    public static let maximumRedeliveries = 1_000_000

    public init(handle: DeliveryHandle, body: [UInt8], redeliveries: Int) {
        self.handle = handle
        self.body = body
        self.redeliveries = min(max(0, redeliveries), Self.maximumRedeliveries)
    }
}

/// Delivery tags restart with each connection, so each handle has the epoch of its ``DeliverySession``.
public struct DeliveryHandle: Sendable, Hashable {
    public var epoch: UInt64
    public var tag: UInt64

    public init(epoch: UInt64, tag: UInt64) {
        self.epoch = epoch
        self.tag = tag
    }
}

public protocol QueueInspector: Sendable {
    func depths() async throws(BrokerError) -> QueueDepths
    /// Throws the reason if a publish would fail now.
    func checkHealth() async throws(BrokerError)
}

public struct QueueDepths: Sendable, Equatable {
    /// Messages waiting for a consumer.
    public var ready: Int
    /// Messages delivered and not yet acknowledged, as far as the adapter knows.
    public var unacknowledged: Int
    /// Messages in the dead-letter queue.
    public var dead: Int

    public init(ready: Int, unacknowledged: Int, dead: Int) {
        self.ready = ready
        self.unacknowledged = unacknowledged
        self.dead = dead
    }
}

public struct BrokerError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// Not connected; the adapter is reconnecting.
        case unavailable
        /// The broker accepts no messages for now: a memory or disk alarm.
        case blocked
        /// Misconfigured: wrong credentials, or a queue of another kind.
        case misconfigured
        /// The queue belongs to another store, or to another process with the same store; or another process reads the dead letters.
        case owned
    }

    public var code: Code
    public var message: String
    /// The error of the client library or the system, if any.
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { "broker \(code.rawValue): \(message)" }
}
