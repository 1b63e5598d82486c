public import Logging
public import ServiceLifecycle

/// Removes expired records. Nothing depends on when: a record that has expired is refused before it is removed. Every process may run a
/// sweeper.
public struct RecordSweeper: Service {
    /// Between two sweeps, ±25 %.
    static let interval: Duration = .seconds(3_600)

    private let store: any RecordStore
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger

    public init(store: any RecordStore, clock: WallClock, elapsed: ElapsedClock = .system, logger: Logger) {
        self.store = store
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) {
            do throws(StoreError) {
                try await sweep()
            } catch {
                guard !Task.isCancelled else { return }
                logger.info("Expired records are not removed yet", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Up to the time of the newest entry of the audit log, so that a clock that is far ahead does not empty the log. Nothing that expires
    /// is made without an entry, so what has expired after it is not much.
    func sweep() async throws(StoreError) {
        guard let newest = try await store.records(.audit, of: nil, before: nil, limit: 1).first else { return }
        let now = min(clock.now(), AuditEntry(newest).time)
        while !Task.isCancelled, try await store.removeExpiredRecords(at: now, limit: Record.longestList) == Record.longestList {}
    }
}
