public import Logging
public import ServiceLifecycle

/// Reads the records of all projects periodically, once for all parts of ingest.
///
/// While the store is unavailable, the last values stay in use.
public final class ProjectFollower: Service {
    private let store: any ProjectStore
    private let horizons: IngestHorizons
    private let visitors: VisitorIdentifier
    private let directory: ProjectDirectory?
    private let elapsed: ElapsedClock
    private let logger: Logger

    /// Between two reads, ±25 %.
    static let interval: Duration = .seconds(15)

    public init(
        store: any ProjectStore, horizons: IngestHorizons, visitors: VisitorIdentifier, directory: ProjectDirectory? = nil,
        elapsed: ElapsedClock = .system, logger: Logger
    ) {
        self.store = store
        self.horizons = horizons
        self.visitors = visitors
        self.directory = directory
        self.elapsed = elapsed
        self.logger = logger
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { [self] in
            do throws(StoreError) {
                let records = try await store.projectRecords()
                horizons.take(records)
                directory?.take(records)
                try await visitors.take(records)
            } catch {
                guard !Task.isCancelled else { return }
                logger.info("Project records or visitor secrets not read, using the last ones", metadata: ["error": "\(error)"])
            }
        }
    }
}
