import AnalyticsCore
import DequeModule

/// Reads the numbers of waiting messages. It needs its own connection: a blocked broker does not read from a publishing one.
struct InspectorRole: LinkRole {
    struct Counts: Sendable {
        var ready: Int
        var dead: Int
    }

    struct Command: Sendable {
        var deadline: Instant
        var reply: @Sendable (Result<Counts, BrokerError>) -> Void
    }

    private enum State {
        case connecting
        case connected
        case down(BrokerError)
    }

    private let topology: TopologyDeclaration
    private var state = State.connecting
    private var unasked: Deque<Command> = []
    private var asked: Deque<Command> = []
    /// The first of the two replies to each command.
    private var ready: Int?

    init(topology: TopologyDeclaration) {
        self.topology = topology
    }

    var isDrained: Bool { unasked.isEmpty && asked.isEmpty }

    mutating func prepare(_ connection: Connection) throws(BrokerError) {
        try topology.declare(on: connection)
        state = .connected
    }

    mutating func accept(_ command: Command, now: Instant) {
        if case .down(let error) = state { command.reply(.failure(error)) } else { unasked.append(command) }
    }

    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError) {
        guard case .queueDeclared(let messages, _) = frame else { return }
        guard let ready else {
            self.ready = messages
            return
        }
        self.ready = nil
        asked.popFirst()?.reply(.success(Counts(ready: ready, dead: messages)))
    }

    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand {
        while let command = unasked.popFirst() {
            output.inspect(queue: topology.names.events)
            output.inspect(queue: topology.names.deadLetters)
            asked.append(command)
        }
        if let first = asked.first, first.deadline <= now {
            throw BrokerError(.unavailable, "the broker has not reported its queue depths in time")
        }
        return LinkDemand(deadline: asked.first?.deadline)
    }

    mutating func disconnected(_ error: BrokerError, isRetrying: Bool) {
        for command in asked { command.reply(.failure(error)) }
        asked = []
        ready = nil
        state = isRetrying ? .connecting : .down(error)
        guard !isRetrying else { return }
        for command in unasked { command.reply(.failure(error)) }
        unasked = []
    }

    mutating func finish() {
        disconnected(BrokerError(.unavailable, "the broker's adapter is shutting down"), isRetrying: false)
    }
}
