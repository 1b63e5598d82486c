package import AnalyticsCore
internal import Synchronization

/// An ``ElapsedClock`` that stands still until a test moves it on.
package final class ManualClock: Sendable {
    private struct State {
        var now = Duration.zero
        var lastSleeper = 0
        var sleepers: [Int: (until: Duration, continuation: CheckedContinuation<Void, any Error>)] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    package var elapsed: ElapsedClock {
        ElapsedClock(now: { self.state.withLock { $0.now } }, sleep: { try await self.sleep(for: $0) })
    }

    /// How long each task that sleeps still has to.
    package var sleeping: [Duration] { state.withLock { state in state.sleepers.values.map { $0.until - state.now }.sorted() } }

    package func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now += duration
            let due = state.sleepers.filter { $0.value.until <= state.now }
            for sleeper in due.keys { state.sleepers[sleeper] = nil }
            return due.values
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    private func sleep(for duration: Duration) async throws {
        let number = state.withLock { state in
            state.lastSleeper += 1
            return state.lastSleeper
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    // Looked at once: what is cancelled from here on is resumed by the handler, which waits for this lock.
                    let isCancelled = Task.isCancelled
                    if !isCancelled { state.sleepers[number] = (state.now + duration, continuation) }
                    return isCancelled
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: number) }?.continuation.resume(throwing: CancellationError())
        }
    }
}
