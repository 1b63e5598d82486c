import Synchronization

@testable import AnalyticsCore

extension TokenBucket {
    /// What a store answers.
    mutating func lease(_ request: TokenRequest, at now: Duration) -> TokenLease? {
        var granted = 0
        if wait(for: request.least, at: now) == .zero {
            granted = max(request.least, min(request.most, remaining(at: now)))
            _ = take(granted, at: now)
        }
        return TokenLease(granted: granted, fullIn: missing(at: now), for: request)
    }
}

/// Shared buckets in memory, which a test can hold up and take down.
final class SharedBuckets: RateStore {
    private struct State {
        var buckets: [String: TokenBucket] = [:]
        var requests: [TokenRequest] = []
        var isDown = false
        var isHeld = false
        var held: [CheckedContinuation<Void, Never>] = []
    }

    private let elapsed: ElapsedClock
    private let state = Mutex(State())

    init(_ elapsed: ElapsedClock) {
        self.elapsed = elapsed
    }

    var requests: [TokenRequest] { state.withLock { $0.requests } }

    var isDown: Bool {
        get { state.withLock { $0.isDown } }
        set { state.withLock { $0.isDown = newValue } }
    }

    /// From now on, no request is answered until ``release()``.
    func hold() { state.withLock { $0.isHeld = true } }

    func release() {
        let held = state.withLock { state in
            state.isHeld = false
            defer { state.held = [] }
            return state.held
        }
        for request in held { request.resume() }
    }

    func lease(_ request: TokenRequest) async -> TokenLease? {
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                state.requests.append(request)
                if state.isHeld { state.held.append(continuation) }
                return state.isHeld
            }
            if !isHeld { continuation.resume() }
        }
        let now = elapsed.now()
        return state.withLock { state in
            guard !state.isDown else { return nil }
            return state.buckets[request.bucket, default: TokenBucket(rate: request.rate)].lease(request, at: now)
        }
    }
}
