import AnalyticsCore
import Foundation
import Synchronization

/// The names of what the service declares on the broker, all under one prefix: for each of the two queues a durable direct exchange
/// and, bound to it, a quorum queue of the same name; and the exchange that says whose the events queue is (``QueueClaim``).
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

/// Declares a topology for the connections of one broker, with two precautions against what RabbitMQ 3.10 does to quorum queues.
///
/// One at a time: while a queue is being made, a second connection is told that it is there already; what that publishes is then
/// refused, and consuming fails. And not at once after it has gone missing: a consumer's channel that hears of the end of its queue
/// only when there is a new one subscribes to that by itself, sends no basic.cancel, and drops what it delivers (rabbit_channel,
/// handle_eol).
final class TopologyDeclaration: Sendable {
    /// What every channel of the broker needs to hear of the end, many times over.
    private static let settlingTime = Duration.seconds(1)

    let names: Topology
    private let missingSince = Mutex<Instant?>(nil)
    private let turn = Mutex(())

    init(_ names: Topology) {
        self.names = names
    }

    /// A queue has turned out not to be there.
    func reportMissing(now: Instant) {
        missingSince.withLock { $0 = now }
    }

    /// Declares what is missing; what is there has to be alike, or it throws ``BrokerError/Code/misconfigured`` with the broker's words.
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
