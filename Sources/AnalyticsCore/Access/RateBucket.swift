internal import Synchronization

/// A ``LeasedBucket`` with its lock, its waiting requests and its leases.
final class RateBucket: Sendable {
    private typealias Waiter = CheckedContinuation<Rate, Never>

    let rate: Int
    private let store: (any RateStore)?
    private let elapsed: ElapsedClock
    private let state: Mutex<LeasedBucket<Waiter>>

    /// - Parameter store: `nil`: the bucket is this process's own.
    init(name: String, rate: Int, store: (any RateStore)?, elapsed: ElapsedClock) {
        self.rate = rate
        self.store = store
        self.elapsed = elapsed
        state = Mutex(LeasedBucket(name: name, rate: rate, isShared: store != nil))
    }

    /// The answer to a request that cannot pass, as far as this process knows; otherwise `nil`.
    func refusal(of count: Int) -> Rate? {
        let now = elapsed.now()
        return state.withLock { $0.refusal(of: count, at: now) }
    }

    /// Waits for the store if there are no leased tokens, at most twice its limit.
    func take(_ count: Int) async -> Rate {
        let now = elapsed.now()
        let (rate, request) = state.withLock { bucket -> (Rate?, TokenRequest?) in
            guard let rate = bucket.take(count, at: now) else { return (nil, nil) }
            return (rate, bucket.lease(at: now))
        }
        lease(request)
        if let rate { return rate }
        return await withCheckedContinuation { continuation in
            let (rate, request) = state.withLock { bucket -> (Rate?, TokenRequest?) in
                let rate = bucket.take(count, at: now)
                if rate == nil { bucket.wait(continuation, for: count, at: now) }
                return (rate, bucket.lease(at: now))
            }
            if let rate { continuation.resume(returning: rate) }
            lease(request)
        }
    }

    /// In a task of its own: the requests that wait for it may be cancelled.
    private func lease(_ request: TokenRequest?) {
        guard let request, let store else { return }
        Task {
            let asked = elapsed.now()
            let lease = await store.lease(request)
            let now = elapsed.now()
            let (answers, next) = state.withLock { bucket -> ([(waiter: Waiter, rate: Rate)], TokenRequest?) in
                let answers = bucket.leased(lease, asked: asked, at: now)
                return (answers, bucket.lease(at: now))
            }
            for answer in answers { answer.waiter.resume(returning: answer.rate) }
            self.lease(next)
        }
    }
}
