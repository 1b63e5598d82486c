public import Logging
public import ServiceLifecycle
internal import Synchronization

/// How old an event may be that is accepted.
struct IngestHorizon: Sendable, Equatable {
    /// How long before receipt its timestamp may lie; `nil` for any time.
    var retention: Duration?
    /// Earlier events are not stored any more.
    var closedBefore: Timestamp?
}

/// The horizon of each project, as the store's records said when they were last read.
///
/// While the store is unavailable the last values go on to count; before any was read, the first retention does. An event that is accepted
/// on such a value and comes too late for its minute goes to the dead letters.
public final class IngestHorizons: Service {
    private let store: any ProjectStore
    private let firstRetentionDays: Int
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let records = Mutex(ProjectRecords([]))

    /// Between two reads, ±25 %.
    static let interval: Duration = .seconds(15)

    /// `firstRetentionDays`: what counts for a project without a retention.
    public init(store: any ProjectStore, firstRetentionDays: Int, elapsed: ElapsedClock = .system, logger: Logger) {
        self.store = store
        self.firstRetentionDays = firstRetentionDays
        self.elapsed = elapsed
        self.logger = logger
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { [self] in
            do throws(StoreError) {
                try await refresh()
            } catch {
                guard !Task.isCancelled else { return }
                logger.info("Project records not read, the last ones are used", metadata: ["error": "\(error)"])
            }
        }
    }

    func refresh() async throws(StoreError) {
        let read = ProjectRecords(try await store.projectRecords())
        records.withLock { $0 = read }
    }

    func horizon(of project: ProjectID) -> IngestHorizon {
        let record = records.withLock { $0[project] }
        return IngestHorizon(
            retention: RetentionPlan.retention(days: record?.retentionDays ?? firstRetentionDays), closedBefore: record?.closedBefore)
    }
}
