internal import ServiceLifecycle

/// Time that only passes, and waiting for it. Injected, so that tests decide when a wait is over.
public struct ElapsedClock: Sendable {
    /// Since a moment that stays the same.
    public var now: @Sendable () -> Duration
    /// Throws `CancellationError` when the task is cancelled, at once.
    public var sleep: @Sendable (Duration) async throws -> Void

    public init(now: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void) {
        self.now = now
        self.sleep = sleep
    }

    public static let system: ElapsedClock = {
        let start = ContinuousClock.now
        return ElapsedClock(now: { .now - start }, sleep: { try await Task.sleep(for: $0) })
    }()

    /// Runs `body` again and again, with pauses of `interval` ± 25 %, until the task is cancelled or the service shuts down.
    func repeating(every interval: Duration, _ body: @escaping @Sendable () async -> Void) async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await body()
                try? await self.sleep(interval.jittered())
            }
        }
    }
}
