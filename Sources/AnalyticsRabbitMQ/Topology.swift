import AnalyticsCore
import Synchronization

/// The names of what the service declares on the broker, all under one prefix: for each of the two queues a durable direct exchange
/// and, bound to it, a quorum queue of the same name.
public struct Topology: Sendable, Equatable {
    public var events: String
    public var deadLetters: String

    /// `prefix.events` and `prefix.dead`. A name has at most 255 bytes.
    public init(prefix: String) {
        events = "\(prefix).events"
        deadLetters = "\(prefix).dead"
    }

    public static let standard = Topology(prefix: "analytics")

    /// The exchange to publish to, and the queue that it feeds.
    func name(of queue: QueueName) -> String {
        switch queue {
        case .events: events
        case .deadLetters: deadLetters
        }
    }

    /// The same for all: one queue an exchange.
    static let routingKey = "analytics"
}

/// Declares a topology for the connections of one broker, one at a time: while a quorum queue is being made, RabbitMQ 3.10 tells a
/// second connection that it is there already, and then refuses what that publishes and fails what it consumes.
final class TopologyDeclaration: Sendable {
    let names: Topology
    private let turn = Mutex(())

    init(_ names: Topology) {
        self.names = names
    }

    func declare(on connection: Connection) throws(BrokerError) {
        try turn.withLock { _ throws(BrokerError) in try connection.declare(names) }
    }
}

extension Connection {
    /// Declares what is missing; what is there has to be alike, or it throws ``BrokerError/Code/misconfigured`` with the broker's words.
    ///
    /// No TTL, no maximum length and no delivery limit: nothing may make the broker drop an accepted event. Quorum queues have no
    /// limit up to 3.13, where a negative one is refused; from 4.0 on the default is 20 and -1 stands for none
    /// (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling). A queue that comes from 3.x needs a policy there.
    fileprivate func declare(_ names: Topology) throws(BrokerError) {
        try declareExchange(names.deadLetters)
        try declareQuorumQueue(names.deadLetters)
        try bind(names.deadLetters, to: names.deadLetters, key: Topology.routingKey)
        try declareExchange(names.events)
        try declareQuorumQueue(names.events, deadLetters: names.deadLetters)
        try bind(names.events, to: names.events, key: Topology.routingKey)
    }
}
