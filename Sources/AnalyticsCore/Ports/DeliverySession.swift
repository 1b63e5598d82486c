internal import CoreMetrics
internal import DequeModule
internal import Synchronization

/// The deliveries of one connection to the broker, for one consuming task.
///
/// The sequence ends when the connection is lost, the consumer is stopped, or the task is cancelled. After a lost connection, waiting
/// deliveries are dropped and acknowledgements do nothing: the broker delivers all of it again in another session.
///
/// The adapter bounds the waiting deliveries: in number by the prefetch, in bytes by ``deliver(_:)`` and ``bytesWaiting``.
public final class DeliverySession: AsyncSequence, Sendable {
    private struct State {
        var waiting: Deque<Delivery> = []
        var bytes = 0
        /// No more deliveries follow.
        var hasEnded = false
        var isLost = false
        var taker: CheckedContinuation<Delivery?, Never>?
        var watcher: CheckedContinuation<Void, Never>?

        /// The next delivery or the end, if either is available now.
        mutating func answer() -> Delivery?? {
            if isLost || Task.isCancelled { return .some(nil) }
            guard let delivery = waiting.popFirst() else { return hasEnded ? .some(nil) : nil }
            bytes -= delivery.body.count
            return delivery
        }
    }

    /// Unique among the adapter's sessions; part of its deliveries' handles.
    public let epoch: UInt64
    private let acknowledge: @Sendable ([DeliveryHandle]) -> Void
    private let state = Mutex(State())

    init(epoch: UInt64, acknowledge: @escaping @Sendable ([DeliveryHandle]) -> Void) {
        self.epoch = epoch
        self.acknowledge = acknowledge
    }

    public var isLost: Bool { state.withLock { $0.isLost } }

    /// Acknowledges deliveries to the broker. Ignores handles of other sessions, and all handles once this session is lost.
    public func acknowledge(_ handles: [DeliveryHandle]) {
        guard !isLost else { return }
        let own = handles.filter { $0.epoch == epoch }
        acknowledge(own)
        QueueMetrics.acknowledged.increment(by: own.count)
    }
}

// MARK: - For the consuming task

extension DeliverySession {
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let session: DeliverySession

        public func next() async -> Delivery? { await session.next() }

        /// Stays on the caller's actor, so a waiting delivery costs no executor switch.
        public func next(isolation actor: isolated (any Actor)?) async -> Delivery? { await session.next(isolation: actor) }
    }

    public func makeAsyncIterator() -> Iterator { Iterator(session: self) }

    private func next(isolation: isolated (any Actor)? = #isolation) async -> Delivery? {
        if let answer = state.withLock({ $0.answer() }) { return answer }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state in
                    let answer = state.answer()
                    if answer == nil { state.taker = continuation }
                    return answer
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            takeTaker()?.resume(returning: nil)
        }
    }

    /// Runs `body`, which is cancelled when the connection is lost. Returns after it has ended.
    func run(_ body: @escaping @Sendable (DeliverySession) async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await body(self) }
            group.addTask { await self.untilLost() }
            await group.next()
            group.cancelAll()
        }
    }

    private func untilLost() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    // Checked under the lock: a later cancellation calls the handler, which waits for this lock.
                    let isOver = state.isLost || Task.isCancelled
                    if !isOver { state.watcher = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            takeWatcher()?.resume()
        }
    }

    private func takeTaker() -> CheckedContinuation<Delivery?, Never>? {
        state.withLock { state in
            defer { state.taker = nil }
            return state.taker
        }
    }

    private func takeWatcher() -> CheckedContinuation<Void, Never>? {
        state.withLock { state in
            defer { state.watcher = nil }
            return state.watcher
        }
    }
}

// MARK: - For adapters

extension DeliverySession {
    /// Returns the bytes of all deliveries that now wait. A delivery after the end of the session is dropped.
    @discardableResult
    public func deliver(_ delivery: Delivery) -> Int {
        QueueMetrics.delivered.increment()
        let (taker, bytes) = state.withLock { state -> (CheckedContinuation<Delivery?, Never>?, Int) in
            if state.hasEnded { return (nil, state.bytes) }
            if let taker = state.taker {
                state.taker = nil
                return (taker, 0)
            }
            state.waiting.append(delivery)
            state.bytes += delivery.body.count
            return (nil, state.bytes)
        }
        taker?.resume(returning: delivery)
        return bytes
    }

    /// Bytes of the deliveries that wait.
    public var bytesWaiting: Int { state.withLock { $0.bytes } }

    /// To be called when the connection is lost.
    public func lose() {
        state.withLock { $0.isLost = true }
        end()
        takeWatcher()?.resume()
    }

    /// Ends the deliveries and drops those that wait. Deliveries already taken can still be acknowledged.
    func end() {
        state.withLock { state in
            state.hasEnded = true
            state.waiting = []
            state.bytes = 0
        }
        takeTaker()?.resume(returning: nil)
    }
}
