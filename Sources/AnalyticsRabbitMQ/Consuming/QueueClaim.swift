import AnalyticsCore
import CRabbitMQ
import Foundation
import Logging

/// The store that receives a queue's events.
public struct QueueOwner: Sendable, Equatable {
    /// Identifies the store: at most 64 bytes, no NUL.
    public var store: String
    /// Whether several processes may share the store: true for a database, false for a file.
    public var isShared: Bool

    public init(store: String, isShared: Bool) {
        self.store = store
        self.isShared = isShared
    }
}

/// Keeps a queue's events in one store: each consumer claims the queue for its store on its own connection.
///
/// The claim is a durable exchange with the store's id as an argument, and a binding from it to a queue that is exclusive to the
/// connection. The broker refuses to declare the exchange with another id, and to delete it while it has a binding. The binding ends with
/// the connection. For a store that may not be shared the exclusive queue has a fixed name, so that a second process with a copy of the
/// store is refused too.
///
/// A queue changes its store only when it is empty and has no consumers. See docs/decisions/fencing.md.
struct QueueClaim {
    let owner: QueueOwner
    /// How long the broker may take to detect that an earlier connection is gone.
    let releaseTimeout: Duration
    let logger: Logger
    private var lockedSince: Instant?

    init(owner: QueueOwner, settings: LinkSettings, logger: Logger) {
        self.owner = owner
        // The broker checks once per heartbeat, and closes after two heartbeats of silence.
        releaseTimeout = settings.heartbeat * 4
        self.logger = logger
    }

    /// Throws ``BrokerError/Code/owned`` if the queue belongs to another store; a retry does not help.
    mutating func make(of names: Topology, on connection: Connection, now: Instant) throws(BrokerError) {
        let identity = "\(names.owner).\(owner.store)"
        let presence = owner.isShared ? "\(identity).\(UUID())" : identity
        guard try connection.declareExclusiveQueue(presence) else { throw locked(names, now) }
        lockedSince = nil
        if try !connection.declareOwner(names.owner, identity) { try takeOver(names, identity, on: connection) }
        try connection.bind(presence, to: names.owner, key: "")
        // Another store may have replaced the exchange before the binding. After the binding it cannot change.
        guard try connection.declareOwner(names.owner, identity) else { throw Self.isRunning(names) }
    }

    private func takeOver(_ names: Topology, _ identity: String, on connection: Connection) throws(BrokerError) {
        let (messages, consumers) = try connection.inspect(names.events)
        guard consumers == 0 else { throw Self.isRunning(names) }
        guard messages == 0 else {
            throw BrokerError(
                .owned,
                "the queue \(names.events) holds \(messages) messages for another store: start that one until the queue is empty, or delete "
                    + "the exchange \(names.owner) to give them to this one")
        }
        guard try connection.deleteUnusedExchange(names.owner), try connection.declareOwner(names.owner, identity) else {
            throw Self.isRunning(names)
        }
        logger.warning(
            "The queue is empty and belonged to another store; its events go to this one now", metadata: ["queue": "\(names.events)"])
    }

    private mutating func locked(_ names: Topology, _ now: Instant) -> BrokerError {
        let since = lockedSince ?? now
        lockedSince = since
        return now - since < releaseTimeout
            ? BrokerError(.unavailable, "the broker still has an earlier connection of this store")
            : BrokerError(
                .owned, "the queue \(names.events) belongs to another process with this very store, or a copy of it: end that one first")
    }

    private static func isRunning(_ names: Topology) -> BrokerError {
        BrokerError(
            .owned,
            "the queue \(names.events) belongs to another store, whose processes are running: end them, or start this one with their store")
    }
}

// Each returns false if the broker refuses for the one documented reason.
extension Connection {
    /// Returns false if another connection has a queue of this name.
    func declareExclusiveQueue(_ name: String) throws(BrokerError) -> Bool {
        let reply = analytics_declare_exclusive_queue(state, FrameWriter.channel, name)
        return try check(reply, "declaring the queue \(name)", unless: AMQP_RESOURCE_LOCKED)
    }

    /// Declares the exchange if it is missing. Returns false if it exists with another identity.
    fileprivate func declareOwner(_ name: String, _ identity: String) throws(BrokerError) -> Bool {
        let reply = analytics_declare_owner(state, FrameWriter.channel, name, identity)
        return try check(reply, "declaring the exchange \(name)", unless: AMQP_PRECONDITION_FAILED)
    }

    /// Returns false if the exchange has a binding.
    fileprivate func deleteUnusedExchange(_ name: String) throws(BrokerError) -> Bool {
        let reply = analytics_delete_unused_exchange(state, FrameWriter.channel, name)
        return try check(reply, "deleting the exchange \(name)", unless: AMQP_PRECONDITION_FAILED)
    }

    /// Ready messages, and consumers, which may hold further messages.
    func inspect(_ name: String) throws(BrokerError) -> (messages: Int, consumers: Int) {
        var (messages, consumers): (UInt32, UInt32) = (0, 0)
        try check(analytics_inspect(state, FrameWriter.channel, name, &messages, &consumers), "inspecting the queue \(name)")
        return (Int(messages), Int(consumers))
    }

    /// A refusal closes the channel, so it is opened again.
    private func check(_ reply: amqp_rpc_reply_t, _ action: String, unless code: Int32) throws(BrokerError) -> Bool {
        let isRefused =
            reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && Int(reply.reply.id) == analytics_channel_close
            && reply.reply.closeReason.code == Int(code)
        guard isRefused else {
            try check(reply, action)
            return true
        }
        try check(analytics_reopen_channel(state, FrameWriter.channel), "opening a channel")
        return false
    }
}
