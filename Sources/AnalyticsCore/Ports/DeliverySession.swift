internal import CoreMetrics
internal import DequeModule
internal import Synchronization

/// The deliveries of one connection to the broker, for one task that takes them.
///
/// The sequence ends when the connection is lost, when the consumer is stopped, or when the task is cancelled. A lost connection
/// takes everything along: deliveries that nobody has taken are dropped, and acknowledgements do nothing, since all of it comes again
/// in another session.
///
/// What waits here is bounded by the adapter: in number by the prefetch, in bytes by what ``deliver(_:)`` and ``bytesWaiting`` tell it.
public final class DeliverySession: AsyncSequence, Sendable {
    private struct State {
        var waiting: Deque<Delivery> = []
        var bytes = 0
        /// Nothing is delivered any more.
        var hasEnded = false
        var isLost = false
        var taker: CheckedContinuation<Delivery?, Never>?
        var watcher: CheckedContinuation<Void, Never>?

        /// What a task that asks for the next delivery gets at once, if anything: a delivery, or the end.
        mutating func answer() -> Delivery?? {
            if isLost || Task.isCancelled { return .some(nil) }
            guard let delivery = waiting.popFirst() else { return hasEnded ? .some(nil) : nil }
            bytes -= delivery.body.count
            return delivery
        }
    }

    /// Tells this session from all others of the adapter: part of its deliveries' handles.
    public let epoch: UInt64
    private let acknowledge: @Sendable ([DeliveryHandle]) -> Void
    private let state = Mutex(State())

    init(epoch: UInt64, acknowledge: @escaping @Sendable ([DeliveryHandle]) -> Void) {
        self.epoch = epoch
        self.acknowledge = acknowledge
    }

    public var isLost: Bool { state.withLock { $0.isLost } }

    /// Tells the broker that these are done with for good. Handles of other sessions are passed over, and all once this one is lost.
    public func acknowledge(_ handles: [DeliveryHandle]) {
        guard !isLost else { return }
        let own = handles.filter { $0.epoch == epoch }
        acknowledge(own)
        QueueMetrics.acknowledged.increment(by: own.count)
    }
}

// MARK: - For the task that takes

extension DeliverySession {
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let session: DeliverySession

        public func next() async -> Delivery? { await session.next() }

        /// Does not leave the actor of whoever takes, so a delivery that is there costs no change of executor.
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

    /// Runs `body`, which is cancelled when the connection is lost. Returns when it has ended.
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
                    // Looked at once: what is cancelled from here on is resumed by the handler, which waits for this lock.
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
    /// Returns the bytes of all that waits to be taken now. Dropped once the session has ended.
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

    /// Of the deliveries that wait to be taken.
    public var bytesWaiting: Int { state.withLock { $0.bytes } }

    /// The connection is gone, and all that belongs to it.
    public func lose() {
        state.withLock { $0.isLost = true }
        end()
        takeWatcher()?.resume()
    }

    /// Delivers nothing more, and drops what waits; what was taken can still be acknowledged.
    func end() {
        state.withLock { state in
            state.hasEnded = true
            state.waiting = []
            state.bytes = 0
        }
        takeTaker()?.resume(returning: nil)
    }
}
