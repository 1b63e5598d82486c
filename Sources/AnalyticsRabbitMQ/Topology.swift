import AnalyticsCore
import Foundation
import Synchronization

/// The names of the objects that the service declares on the broker, all with one prefix. Each of the two queues has a durable direct
/// exchange and, bound to it, a quorum queue of the same name. One more exchange records the owner of the events queue (``QueueClaim``).
public struct Topology: Sendable, Equatable {
    public var events: String
    public var deadLetters: String
    public var owner: String

    /// `prefix.events`, `prefix.dead` and `prefix.owner`. A name has at most 255 bytes.
    public init(prefix: String) {
        events = "\(prefix).events"
        deadLetters = "\(prefix).dead"
        owner = "\(prefix).owner"
    }

    public static let standard = Topology(prefix: "analytics")

    /// The name of the exchange to publish to, and of its queue.
    func name(of queue: QueueName) -> String {
        switch queue {
        case .events: events
        case .deadLetters: deadLetters
        }
    }

    /// The same for all queues: each has its own exchange.
    static let routingKey = "analytics"
}

/// Declares a topology for the connections of one broker, with two precautions against RabbitMQ 3.10's handling of quorum queues.
///
/// Declarations are serialised: while a queue is being created, the broker tells a second connection that it exists already, and then
/// refuses its publishes and consumers. After a queue has gone missing, the next declaration is delayed: if a consumer's channel learns
/// of its queue's end only after a new queue exists, it subscribes to that queue by itself, sends no basic.cancel, and drops the
/// deliveries (rabbit_channel, handle_eol).
final class TopologyDeclaration: Sendable {
    /// Many times the time in which all channels of the broker learn of the queue's end.
    private static let settlingTime = Duration.seconds(1)

    let names: Topology
    private let missingSince = Mutex<Instant?>(nil)
    private let turn = Mutex(())

    init(_ names: Topology) {
        self.names = names
    }

    /// A queue was found missing.
    func reportMissing(now: Instant) {
        missingSince.withLock { $0 = now }
    }

    /// Declares what is missing. Throws ``BrokerError/Code/misconfigured`` with the broker's message if an existing object differs.
    func declare(on connection: Connection) throws(BrokerError) {
        try turn.withLock { _ throws(BrokerError) in
            let wait = missingSince.withLock { since in
                defer { since = nil }
                return since.map { $0 + Self.settlingTime - .now } ?? .zero
            }
            if wait > .zero { Thread.sleep(forTimeInterval: wait.seconds) }
            try connection.declare(names)
        }
    }
}

extension Connection {
    /// No TTL, no maximum length and no delivery limit: the broker must never drop an accepted event. Quorum queues have no delivery
    /// limit up to 3.13, which refuses a negative one; from 4.0 on the default is 20 and -1 means no limit
    /// (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling). On 4.x, a queue created by 3.x needs a policy.
    fileprivate func declare(_ names: Topology) throws(BrokerError) {
        try declareExchange(names.deadLetters)
        try declareQuorumQueue(names.deadLetters)
        try bind(names.deadLetters, to: names.deadLetters, key: Topology.routingKey)
        try declareExchange(names.events)
        try declareQuorumQueue(names.events, deadLetters: names.deadLetters)
        try bind(names.events, to: names.events, key: Topology.routingKey)
    }
}
