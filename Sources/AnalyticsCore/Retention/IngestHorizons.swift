internal import Synchronization

/// How old an event may be at ingest.
struct IngestHorizon: Sendable, Equatable {
    /// Maximum age of its timestamp at receipt; `nil` for any.
    var retention: Duration?
    /// Earlier events are no longer stored.
    var closedBefore: Timestamp?
}

/// The horizon of each project, from the store's records as last read (``ProjectFollower``).
///
/// While the store is unavailable, the last values stay in use; before the first read, the first retention applies. An event accepted on
/// such a value that arrives too late for its minute is dead-lettered.
public final class IngestHorizons: Sendable {
    private let firstRetentionDays: Int
    private let records = Mutex(ProjectRecords([]))

    /// `firstRetentionDays`: applies to a project without a retention.
    public init(firstRetentionDays: Int) {
        self.firstRetentionDays = firstRetentionDays
    }

    func take(_ read: [ProjectRecord]) {
        let read = ProjectRecords(read)
        records.withLock { $0 = read }
    }

    func horizon(of project: ProjectID) -> IngestHorizon {
        let record = records.withLock { $0[project] }
        return IngestHorizon(
            retention: RetentionPlan.retention(days: record?.retentionDays ?? firstRetentionDays), closedBefore: record?.closedBefore)
    }
}
