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
}
