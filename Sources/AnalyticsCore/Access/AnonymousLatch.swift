internal import Synchronization

/// Whether requests without a key are served: until the first key of the store is made, and never again. ``LatchState`` decides; this
/// reads.
public final class AnonymousLatch: Sendable {
    private struct State {
        var latch = LatchState()
        /// The read in flight.
        var read: Task<Void, Never>?
    }

    private let store: any KeyStore
    private let elapsed: ElapsedClock
    private let state = Mutex(State())

    public init(store: any KeyStore, elapsed: ElapsedClock = .system) {
        self.store = store
        self.elapsed = elapsed
    }

    /// Asks the store at most once per second, until it says true. If the store does not answer, the last value stays in use; without one
    /// this throws.
    public func isClosed() async throws(StoreError) -> Bool {
        let now = elapsed.now()
        let (known, read) = state.withLock { state -> (Result<Bool, StoreError>?, Task<Void, Never>?) in
            switch state.latch.ask(at: now) {
            case .answer(let answer): return (answer, nil)
            case .read: state.read = Task.detached { await self.read() }
            case .wait: break
            }
            return (nil, state.read)
        }
        if let known { return try known.get() }
        await read?.value
        return try state.withLock { $0.latch.last }.get()
    }

    private func read() async {
        let result = await elapsed.read(.anonymousAccess, within: LatchState.readLimit) { [store] () async throws(StoreError) in
            try await store.isAnonymousAccessClosed()
        }
        let now = elapsed.now()
        state.withLock { state in
            state.latch.finish(result, at: now)
            state.read = nil
        }
    }
}
