public import ServiceLifecycle

/// Updates the kept data of the present minute once per second, for projects with recent questions (``LiveInterest``).
public struct LiveMinuteKeeper: Service {
    private let engine: QueryEngine
    private let clock: WallClock
    private let elapsed: ElapsedClock

    static let interval: Duration = .seconds(1)

    public init(engine: QueryEngine, clock: WallClock, elapsed: ElapsedClock = .system) {
        self.engine = engine
        self.clock = clock
        self.elapsed = elapsed
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { await engine.keepUp(at: clock.now()) }
    }
}
