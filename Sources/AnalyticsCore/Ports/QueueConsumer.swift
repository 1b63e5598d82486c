internal import Synchronization

/// A consumer of the events queue, for as long as its scope (``EventConsumer/withConsumer(prefetch:_:)``): one session after another,
/// never two at a time.
public final class QueueConsumer: Sendable {
    private typealias Answer = Result<DeliverySession?, BrokerError>

    private struct State {
        /// Begun, and not yet taken.
        var offered: DeliverySession?
        /// Begun last.
        var latest: DeliverySession?
        var asker: CheckedContinuation<Answer, Never>?
        var end: Result<Void, BrokerError>?

        /// What a task that asks for the next session gets now, if anything: a session, or the end.
        mutating func answer() -> Answer? {
            if Task.isCancelled { return .success(nil) }
            if let end { return end.map { nil } }
            defer { offered = nil }
            return offered.map { .success($0) }
        }
    }

    private let demand: @Sendable (QueueConsumer) -> Void
    private let acknowledge: @Sendable ([DeliveryHandle]) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - demand: A session is wanted, and the one before is over. The adapter calls ``begin(epoch:)`` once it can, and not before.
    ///   - acknowledge: Takes handles of the session that was begun last. Must not block.
    public init(demand: @escaping @Sendable (QueueConsumer) -> Void, acknowledge: @escaping @Sendable ([DeliveryHandle]) -> Void) {
        self.demand = demand
        self.acknowledge = acknowledge
    }

    /// Runs `body` for each session. It is cancelled when its session is lost, and the next session begins only when it has returned:
    /// what is held of a lost connection is let go before anything comes again.
    ///
    /// Returns when `body` has returned though its session was not lost, and when the consumer is stopped or its task cancelled. Throws
    /// when the adapter cannot go on.
    public func forEachSession(_ body: @escaping @Sendable (DeliverySession) async -> Void) async throws(BrokerError) {
        while let session = try await nextSession() {
            await session.run(body)
            guard session.isLost else { return }
        }
    }

    /// Ends the deliveries: what was taken can still be acknowledged, and no other session begins.
    public func stop() {
        finish(.success(()))?.end()
    }

    private func nextSession() async throws(BrokerError) -> DeliverySession? {
        if state.withLock({ $0.end == nil }) { demand(self) }
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state in
                    let answer = state.answer()
                    if answer == nil { state.asker = continuation }
                    return answer
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            takeAsker()?.resume(returning: .success(nil))
        }
        return try answer.get()
    }

    private func takeAsker() -> CheckedContinuation<Answer, Never>? {
        state.withLock { state in
            defer { state.asker = nil }
            return state.asker
        }
    }
}

// MARK: - For adapters

extension QueueConsumer {
    /// A connection delivers from now on. `epoch` is another one each time.
    public func begin(epoch: UInt64) -> DeliverySession {
        let session = DeliverySession(epoch: epoch, acknowledge: acknowledge)
        let (asker, hasEnded) = state.withLock { state in
            state.latest = session
            if state.asker == nil { state.offered = session }
            defer { state.asker = nil }
            return (state.asker, state.end != nil)
        }
        if hasEnded { session.end() }
        asker?.resume(returning: .success(session))
        return session
    }

    /// No other session will begin, and the present one is lost. With an error, ``forEachSession(_:)`` throws it.
    public func finish(throwing error: BrokerError? = nil) {
        finish(error.map { .failure($0) } ?? .success(()))?.lose()
    }

    /// The first end stands. Returns the session that it concerns.
    private func finish(_ end: Result<Void, BrokerError>) -> DeliverySession? {
        let (asker, session) = state.withLock { state in
            state.end = state.end ?? end
            defer { state.asker = nil }
            return (state.asker, state.latest)
        }
        asker?.resume(returning: end.map { nil })
        return session
    }
}
