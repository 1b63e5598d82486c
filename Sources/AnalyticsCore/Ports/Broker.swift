/// Carries accepted events from the API to the processor, and holds them durably in between.
///
/// Two adapters, one contract: RabbitMQ, and a queue in SQLite for the service in one process.
public typealias Broker = EventPublisher & EventConsumer & QueueInspector & DeadLetterReader & DeadLetterEraser

public protocol EventPublisher: Sendable {
    /// Publishes persistent messages and waits for the broker's word on each.
    ///
    /// Returns one outcome a message, in their order, within the adapter's confirm timeout. Never throws: an outage is an
    /// ``PublishOutcome/unconfirmed(_:)`` for each message concerned, which may or may not have arrived.
    func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome]
}

public enum QueueName: String, Sendable, CaseIterable {
    case events
    case deadLetters
}

public struct OutgoingMessage: Sendable, Equatable {
    public var body: [UInt8]
    /// How many events the body holds; for the broker's headers and for metrics.
    public var events: Int
    /// Whether an adapter that is busy may put it on the queue together with others (``JoinedMessage``).
    public var isJoinable: Bool

    public init(body: [UInt8], events: Int, isJoinable: Bool = false) {
        self.body = body
        self.events = events
        self.isJoinable = isJoinable
    }
}

public enum PublishOutcome: Sendable, Equatable {
    /// The broker holds it durably.
    case confirmed
    /// Nothing is known, or the broker refused it: not accepted.
    case unconfirmed(String)
}

public protocol EventConsumer: Sendable {
    /// Consumes the events queue while `body` runs, with at most `prefetch` deliveries unacknowledged at a time.
    ///
    /// Survives outages: the adapter connects again with backoff, and each connection is a ``DeliverySession`` of its own. Returns when
    /// `body` has, after the acknowledgements made in it are on their way; what it has not acknowledged is delivered again. Throws what
    /// `body` throws.
    func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws
}

public struct Delivery: Sendable, Equatable {
    public var handle: DeliveryHandle
    public var body: [UInt8]
    /// How often it was delivered before and not acknowledged: 0 the first time, at most ``maximumRedeliveries``.
    public let redeliveries: Int

    /// A broker's word may be anything, a publisher's header among it; what is counted with stays far from where sums overflow.
    public static let maximumRedeliveries = 1_000_000

    public init(handle: DeliveryHandle, body: [UInt8], redeliveries: Int) {
        self.handle = handle
        self.body = body
        self.redeliveries = min(max(0, redeliveries), Self.maximumRedeliveries)
    }
}

/// Delivery tags start again on each connection, so each carries the epoch of its ``DeliverySession``.
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
    /// Whether a publish would be taken right now; throws what stands against it.
    func checkHealth() async throws(BrokerError)
}

public struct QueueDepths: Sendable, Equatable {
    /// Messages waiting for a consumer.
    public var ready: Int
    /// Messages delivered and not yet acknowledged, as far as this adapter can know.
    public var unacknowledged: Int
    /// Messages among the dead letters.
    public var dead: Int

    public init(ready: Int, unacknowledged: Int, dead: Int) {
        self.ready = ready
        self.unacknowledged = unacknowledged
        self.dead = dead
    }
}

public struct BrokerError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// Not connected, and trying.
        case unavailable
        /// The broker takes nothing for now: a memory or disk alarm.
        case blocked
        /// Set up in a way that cannot work: wrong credentials, a queue of another kind.
        case misconfigured
        /// The queue belongs to another store than this process's, or to another process with the same one; or another process reads the
        /// dead letters.
        case owned
    }

    public var code: Code
    public var message: String
    /// What the client library or the system said, where there is such an error.
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { "broker \(code.rawValue): \(message)" }
}
