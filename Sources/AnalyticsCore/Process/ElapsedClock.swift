internal import ServiceLifecycle

/// A monotonic clock with sleep. Injected for tests.
public struct ElapsedClock: Sendable {
    /// Since a fixed moment.
    public var now: @Sendable () -> Duration
    /// Throws `CancellationError` immediately when the task is cancelled.
    public var sleep: @Sendable (Duration) async throws -> Void

    public init(now: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void) {
        self.now = now
        self.sleep = sleep
    }

    public static let system: ElapsedClock = {
        let start = ContinuousClock.now
        return ElapsedClock(now: { .now - start }, sleep: { try await Task.sleep(for: $0) })
    }()

    /// Runs `body` repeatedly, with pauses of `interval` ± 25 %, until the task is cancelled or the service shuts down.
    func repeating(every interval: Duration, _ body: @escaping @Sendable () async -> Void) async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await body()
                try? await self.sleep(interval.jittered())
            }
        }
    }
}
