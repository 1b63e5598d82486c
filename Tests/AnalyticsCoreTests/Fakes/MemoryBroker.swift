import Synchronization

@testable import AnalyticsCore

/// The broker's contract in memory: prefetch, redelivery in another session, and publishes that are not confirmed on demand.
final class MemoryBroker: Broker {
    enum Answer: Sendable {
        case confirm
        /// Not confirmed, and not there.
        case lose
        /// Not confirmed, and there all the same.
        case keepSilent
    }

    private struct Message {
        var body: [UInt8]
        var redeliveries: Int
    }

    private struct Consumer {
        var prefetch: Int
        var session: DeliverySession?
        var held = 0
        var hasRoom: Bool { session != nil && held < prefetch }
    }

    private struct State {
        var epoch: UInt64 = 0
        var tag: UInt64 = 0
        var ready: [Message] = []
        var unacknowledged: [UInt64: (message: Message, consumer: Int)] = [:]
        var consumers: [Int: Consumer] = [:]
        var nextConsumer = 0
        var dead: [[UInt8]] = []
        var acknowledged: [[UInt8]] = []
        var mostHeld = 0
        var mostBytes = 0
        var idle: [CheckedContinuation<Void, Never>] = []
        var isIdle: Bool { ready.isEmpty && unacknowledged.isEmpty }
    }

    let faults: Faults
    private let answer = Mutex<@Sendable (QueueName, Int) -> Answer>({ _, _ in .confirm })
    private let state = Mutex(State())
    private let beforeSession = Mutex<@Sendable () -> Void>({})

    init(faults: Faults = Faults()) {
        self.faults = faults
    }

    // MARK: For tests

    /// What becomes of the message at this position of a publish.
    func answer(_ body: @escaping @Sendable (QueueName, Int) -> Answer) { answer.withLock { $0 = body } }

    func beforeSession(_ body: @escaping @Sendable () -> Void) { beforeSession.withLock { $0 = body } }

    var ready: Int { state.withLock { $0.ready.count } }
    var bodies: [[UInt8]] { state.withLock { $0.ready.map(\.body) } }
    var dead: [[UInt8]] { state.withLock { $0.dead } }
    var acknowledged: [[UInt8]] { state.withLock { $0.acknowledged } }
    var unacknowledged: Int { state.withLock { $0.unacknowledged.count } }
    /// Deliveries that a consumer held at the most at a time.
    var mostHeld: Int { state.withLock { $0.mostHeld } }
    /// Bytes of deliveries that nobody has taken, now and at the most.
    var bytesWaiting: Int { state.withLock { $0.consumers.values.reduce(0) { $0 + ($1.session?.bytesWaiting ?? 0) } } }
    var mostBytes: Int { state.withLock { $0.mostBytes } }
    /// Sessions begun so far.
    var sessions: Int { state.withLock { Int($0.epoch) } }

    func enqueue(_ bodies: [[UInt8]], redeliveries: Int = 0) {
        state.withLock { state in
            state.ready += bodies.map { Message(body: $0, redeliveries: redeliveries) }
            Self.pump(&state)
        }
    }

    /// The connection is lost and found again: what was not acknowledged comes again, in the next session.
    func disconnect() {
        state.withLock { state in
            let back = state.unacknowledged.sorted { $0.key < $1.key }.map {
                Message(body: $1.message.body, redeliveries: $1.message.redeliveries + 1)
            }
            state.unacknowledged = [:]
            state.ready.insert(contentsOf: back, at: 0)
            for id in state.consumers.keys {
                state.consumers[id]!.session?.lose()
                state.consumers[id]!.session = nil
                state.consumers[id]!.held = 0
            }
        }
    }

    /// Until every message is acknowledged.
    func untilIdle() async {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                if state.isIdle { continuation.resume() } else { state.idle.append(continuation) }
            }
        }
    }

    // MARK: The port

    func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        let step: Faults.Step = queue == .events ? .publish : .bury
        let away = PublishOutcome.unconfirmed("away")
        guard faults.pass(step, .before) else { return messages.map { _ in away } }
        let answer = answer.withLock { $0 }
        let outcomes = state.withLock { state in
            let outcomes = messages.enumerated().map { index, message in
                let answer = answer(queue, index)
                guard answer != .lose else { return PublishOutcome.unconfirmed("lost") }
                if queue == .events {
                    state.ready.append(Message(body: message.body, redeliveries: 0))
                } else {
                    state.dead.append(message.body)
                }
                return answer == .confirm ? .confirmed : .unconfirmed("silence")
            }
            Self.pump(&state)
            return outcomes
        }
        return faults.pass(step, .after) ? outcomes : messages.map { _ in away }
    }

    func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws {
        let id = state.withLock { state in
            state.nextConsumer += 1
            state.consumers[state.nextConsumer] = Consumer(prefetch: prefetch)
            return state.nextConsumer
        }
        let consumer = QueueConsumer { [self] consumer in
            beforeSession.withLock { $0 }()
            state.withLock { state in
                state.epoch += 1
                state.consumers[id]?.session = consumer.begin(epoch: state.epoch)
                Self.pump(&state)
            }
        } acknowledge: { [self] handles in
            acknowledge(handles)
        }
        defer { remove(id) }
        try await body(consumer)
    }

    private func remove(_ id: Int) {
        state.withLock { state in
            state.consumers[id] = nil
            let held = state.unacknowledged.filter { $0.value.consumer == id }.sorted { $0.key < $1.key }
            for (tag, _) in held { state.unacknowledged[tag] = nil }
            state.ready.insert(contentsOf: held.map { Message(body: $1.message.body, redeliveries: $1.message.redeliveries + 1) }, at: 0)
            Self.pump(&state)
        }
    }

    private func acknowledge(_ handles: [DeliveryHandle]) {
        guard faults.pass(.acknowledge, .before) else { return }
        let waiting = state.withLock { state in
            for handle in handles {
                guard let (message, consumer) = state.unacknowledged.removeValue(forKey: handle.tag) else { continue }
                state.acknowledged.append(message.body)
                state.consumers[consumer]?.held -= 1
            }
            Self.pump(&state)
            guard state.isIdle else { return [CheckedContinuation<Void, Never>]() }
            defer { state.idle = [] }
            return state.idle
        }
        for continuation in waiting { continuation.resume() }
        _ = faults.pass(.acknowledge, .after)
    }

    func depths() async throws(BrokerError) -> QueueDepths {
        state.withLock { QueueDepths(ready: $0.ready.count, unacknowledged: $0.unacknowledged.count, dead: $0.dead.count) }
    }

    /// A position is the number of letters before it.
    func deadLetters(after position: DeadLetterPosition?, limit: DeadLetterLimit) async throws(BrokerError) -> DeadLetterPage {
        guard faults.pass(.read, .before) else { throw BrokerError(.unavailable, "away") }
        let start = position.flatMap { Int($0.text) } ?? 0
        let dead = dead
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

    func checkHealth() async throws(BrokerError) {
        guard faults.pass(.read, .before) else { throw BrokerError(.unavailable, "away") }
    }

    private static func pump(_ state: inout State) {
        while !state.ready.isEmpty, let (id, consumer) = state.consumers.first(where: { $0.value.hasRoom }), let session = consumer.session
        {
            let message = state.ready.removeFirst()
            state.tag += 1
            state.unacknowledged[state.tag] = (message, id)
            state.consumers[id]!.held += 1
            state.mostHeld = max(state.mostHeld, consumer.held + 1)
            let bytes = session.deliver(
                Delivery(
                    handle: DeliveryHandle(epoch: session.epoch, tag: state.tag), body: message.body, redeliveries: message.redeliveries))
            state.mostBytes = max(state.mostBytes, bytes)
        }
    }
}
