public import Logging
public import ServiceLifecycle

/// Deletes events whose time is over, where the store does not by itself.
public struct Expiry: Service {
    private let store: any EventStore
    private let keep: Duration
    private let clock: WallClock
    private let logger: Logger

    /// `keep`: how long before now an event's timestamp may lie.
    public init(store: any EventStore, keep: Duration, clock: WallClock, logger: Logger) {
        self.store = store
        self.keep = keep
        self.clock = clock
        self.logger = logger
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do throws(StoreError) {
                    try await store.deleteEvents(before: clock.now() - keep)
                } catch {
                    logger.warning("Expired events are not deleted yet", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(3_600))
            }
        }
    }
}
