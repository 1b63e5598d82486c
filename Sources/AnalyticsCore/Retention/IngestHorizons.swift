internal import Synchronization

/// How old an event may be that is accepted.
struct IngestHorizon: Sendable, Equatable {
    /// How long before receipt its timestamp may lie; `nil` for any time.
    var retention: Duration?
    /// Earlier events are not stored any more.
    var closedBefore: Timestamp?
}

/// The horizon of each project, as the store's records said when they were last read (``ProjectFollower``).
///
/// While the store is unavailable the last values go on to count; before any was read, the first retention does. An event that is accepted
/// on such a value and comes too late for its minute goes to the dead letters.
public final class IngestHorizons: Sendable {
    private let firstRetentionDays: Int
    private let records = Mutex(ProjectRecords([]))

    /// `firstRetentionDays`: what counts for a project without a retention.
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
