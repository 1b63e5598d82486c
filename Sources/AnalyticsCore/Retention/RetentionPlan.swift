/// Decides when time is closed and the watermark raised. Pure.
public enum RetentionPlan {
    /// The largest retention in days.
    public static let maximumDays = 36_500

    /// How much longer than the retention events are kept: the maximum delay between acceptance and storing.
    static let margin: Duration = .seconds(7 * 86_400)

    /// How long a new retention waits before it closes time: longer than processes take to read it (``ProjectFollower/interval``). Events
    /// outside it are then rejected before they are accepted.
    static let grace: Duration = .seconds(30)

    /// The maximum age of events for `days`; `nil` for any.
    static func retention(days: Int) -> Duration? {
        days > 0 ? .seconds(min(days, maximumDays) * 86_400) : nil
    }

    /// The time before which to close, a whole hour; `nil` if it is already closed.
    static func close(_ record: ProjectRecord, at now: Timestamp) -> Timestamp? {
        guard let retention = retention(days: record.retentionDays ?? 0) else { return nil }
        let target = Timestamp(minute: (now - (retention + margin)).hour * 60)
        return record.closedBefore.map { target > $0 } ?? true ? target : nil
    }

    /// Whether the retention was written too recently to close time.
    static func isTooNew(_ record: ProjectRecord, at now: Timestamp) -> Bool {
        record.changedAt.map { now < $0 + grace } ?? false
    }

    /// The new watermark; `nil` if it cannot rise.
    ///
    /// At most `closedBefore`, so that no event is stored below it, and at most the oldest marked minute, which is still to be counted.
    /// `oldestMarked` must be read after the record: a flush whose mark is newer then sees the record's `closedBefore`.
    static func raise(_ record: ProjectRecord, oldestMarked: Int64?) -> Timestamp? {
        guard let closed = record.closedBefore else { return nil }
        let target = min(closed, oldestMarked.map(Timestamp.init(minute:)) ?? closed)
        return record.watermark.map { target > $0 } ?? true ? target : nil
    }
}

extension ProjectRecord {
    /// The first minute with all of its events.
    var firstWholeMinute: Int64 { watermark.map(Self.minute(from:)) ?? .min }

    /// The first minute whose events are stored.
    var firstOpenMinute: Int64 { closedBefore.map(Self.minute(from:)) ?? .min }

    /// The first minute that begins at this moment or later.
    private static func minute(from time: Timestamp) -> Int64 {
        time.milliseconds.isMultiple(of: RollupTier.minute.milliseconds) ? time.minute : time.minute + 1
    }
}

/// Records by project.
struct ProjectRecords {
    private var records: [ProjectID: ProjectRecord] = [:]

    init(_ records: [ProjectRecord]) {
        for record in records { self.records[record.project] = record }
    }

    subscript(project: ProjectID) -> ProjectRecord? { records[project] }

    /// The first minute of a project with all of its events.
    func firstWholeMinute(of project: ProjectID) -> Int64 { self[project]?.firstWholeMinute ?? .min }
}
