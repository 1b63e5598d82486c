package import AnalyticsCore
internal import Synchronization

/// A broker in memory, which passes the broker's contract suite. What a test does to it and sees of it is in `MemoryBroker+Tests.swift`.
package final class MemoryBroker: Broker {
    /// What becomes of a published message.
    package enum Answer: Sendable {
        case confirm
        /// Not confirmed, and not there.
        case lose
        /// Not confirmed, and there all the same.
        case keepSilent
    }

    package let faults: Faults
    let state: Mutex<State>
    let answer = Mutex<@Sendable (QueueName, Int) -> Answer>({ _, _ in .confirm })
    let beforeSession = Mutex<@Sendable () -> Void>({})

    package init(faults: Faults = Faults()) {
        self.faults = faults
        state = Mutex(State())
    }

    /// Opens the messages of a broker that was shut down.
    package init(reopening broker: MemoryBroker) {
        faults = broker.faults
        state = Mutex(broker.state.withLock { State(reopening: $0) })
    }

    /// Ends all deliveries, and takes and gives nothing more.
    package func shutdown() {
        for consumer in state.withLock({ $0.close() }) { consumer.finish() }
    }

    package func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        guard !messages.isEmpty else { return [] }
        let step: Faults.Step = queue == .events ? .publish : .deadLetter
        let down = PublishOutcome.unconfirmed("down")
        guard faults.pass(step, .before) else { return messages.map { _ in down } }
        let answer = answer.withLock { $0 }
        let outcomes = state.withLock { state in
            guard !state.isClosed else { return messages.map { _ in down } }
            let outcomes = messages.enumerated().map { index, message in
                let answer = answer(queue, index)
                guard answer != .lose else { return PublishOutcome.unconfirmed("lost") }
                if queue == .events {
                    state.enqueue(message.body)
                } else {
                    state.dead.append(message.body)
                }
                return answer == .confirm ? .confirmed : .unconfirmed("silence")
            }
            state.handOut()
            return outcomes
        }
        return faults.pass(step, .after) ? outcomes : messages.map { _ in down }
    }

    package func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws {
        let id = state.withLock { $0.addConsumer(prefetch: prefetch) }
        let consumer = QueueConsumer { [self] consumer in
            beforeSession.withLock { $0 }()
            let isOpen = state.withLock { $0.begin(consumer, id) }
            if !isOpen { consumer.finish() }
        } acknowledge: { [self] handles in
            acknowledge(handles)
        }
        defer { state.withLock { $0.removeConsumer(id) } }
        try await body(consumer)
    }

    private func acknowledge(_ handles: [DeliveryHandle]) {
        guard faults.pass(.acknowledge, .before) else { return }
        for continuation in state.withLock({ $0.acknowledge(handles) }) { continuation.resume() }
        _ = faults.pass(.acknowledge, .after)
    }

    package func depths() async throws(BrokerError) -> QueueDepths {
        try state.withLock { (state) throws(BrokerError) in
            try state.checkOpen()
            return QueueDepths(ready: state.ready.count, unacknowledged: state.unacknowledged.count, dead: state.dead.count)
        }
    }

    /// A position is the number of letters before it.
    package func deadLetters(after position: DeadLetterPosition?, limit: DeadLetterLimit) async throws(BrokerError) -> DeadLetterPage {
        try await checkHealth()
        if Task.isCancelled { throw BrokerError(.unavailable, "cancelled", cause: CancellationError()) }
        if Deadline.current?.hasPassed == true { throw BrokerError(.unavailable, "not done by its deadline", cause: DeadlineError()) }
        let dead = dead
        let start = position.map { Int($0.text) } ?? 0
        guard let start, (0...dead.count).contains(start) else {
            throw BrokerError(.misconfigured, "'\(position?.text ?? "")' is not a position in this queue")
        }
        var page = DeadLetterPageBuilder(limit)
        filling: for body in dead.dropFirst(start) {
            switch page.room(for: body.count) {
            case .body: page.append(body)
            case .sizeOnly: page.append(sizeOnly: body.count)
            case .none: break filling
            }
        }
        let end = start + page.count
        return page.page(hasMore: end < dead.count, next: DeadLetterPosition(text: "\(end)"))
    }

    package func eraseDeadLetters(
        where isErased: @escaping @Sendable (DeadLetter) -> Bool?
    ) async throws(BrokerError) -> DeadLetterErasure {
        try await checkHealth()
        return state.withLock { state in
            let decoder = DeadLetterDecoder()
            var erasure = DeadLetterErasure()
            state.dead.removeAll { erasure.takes($0, decoder, where: isErased) }
            return erasure
        }
    }

    package func overwriteDeleted() async throws(BrokerError) { try await checkHealth() }

    package func checkHealth() async throws(BrokerError) {
        guard faults.pass(.read, .before) else { throw BrokerError(.unavailable, "down") }
        try state.withLock { (state) throws(BrokerError) in try state.checkOpen() }
    }
}
