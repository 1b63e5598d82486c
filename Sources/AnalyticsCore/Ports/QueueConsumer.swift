internal import Synchronization

/// A consumer of the events queue for the duration of its scope (``EventConsumer/withConsumer(prefetch:_:)``). One session follows another,
/// never two at a time.
public final class QueueConsumer: Sendable {
    private typealias Answer = Result<DeliverySession?, BrokerError>

    private struct State {
        /// Begun, but not yet taken.
        var offered: DeliverySession?
        /// The session begun last.
        var latest: DeliverySession?
        var asker: CheckedContinuation<Answer, Never>?
        var end: Result<Void, BrokerError>?

        /// The next session or the end, if either is available now.
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
    ///   - demand: Requests the next session, after the previous one has ended. Only then the adapter calls ``begin(epoch:)``.
    ///   - acknowledge: Receives handles of the latest session. Must not block.
    public init(demand: @escaping @Sendable (QueueConsumer) -> Void, acknowledge: @escaping @Sendable ([DeliveryHandle]) -> Void) {
        self.demand = demand
        self.acknowledge = acknowledge
    }

    /// Runs `body` per session. It is cancelled when its session is lost, and the next session begins only after it has returned:
    /// everything of a lost connection is released before its messages are delivered again.
    ///
    /// Returns when `body` returns while its session is not lost, when the consumer is stopped, or when its task is cancelled. Throws if
    /// the adapter cannot continue.
    public func forEachSession(_ body: @escaping @Sendable (DeliverySession) async -> Void) async throws(BrokerError) {
        while let session = try await nextSession() {
            await session.run(body)
            guard session.isLost else { return }
        }
    }

    /// Ends the deliveries. Deliveries already taken can still be acknowledged, and no other session begins.
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
    /// To be called when a connection begins to deliver. `epoch` is unique per connection.
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

    /// No other session will begin, and the current one is lost. ``forEachSession(_:)`` throws `error` if given.
    public func finish(throwing error: BrokerError? = nil) {
        finish(error.map { .failure($0) } ?? .success(()))?.lose()
    }

    /// The first end wins. Returns the session concerned.
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
