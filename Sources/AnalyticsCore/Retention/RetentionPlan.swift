/// Decides how far a project's time is closed and its watermark raised. Pure.
public enum RetentionPlan {
    /// The largest retention in days.
    public static let maximumDays = 36_500

    /// How much longer than the retention events are kept: how late an event that was accepted may be stored.
    static let margin: Duration = .seconds(7 * 86_400)

    /// How long a new retention waits before time is closed by it: longer than processes take to read it
    /// (``ProjectFollower/interval``), so that events that it no longer covers are rejected before they are accepted.
    static let grace: Duration = .seconds(30)

    /// What `days` lets a caller send; `nil` for any time.
    static func retention(days: Int) -> Duration? {
        days > 0 ? .seconds(min(days, maximumDays) * 86_400) : nil
    }

    /// Where time is to be closed by now, a whole hour; `nil` where it is closed already.
    static func close(_ record: ProjectRecord, at now: Timestamp) -> Timestamp? {
        guard let retention = retention(days: record.retentionDays ?? 0) else { return nil }
        let target = Timestamp(minute: (now - (retention + margin)).hour * 60)
        return record.closedBefore.map { target > $0 } ?? true ? target : nil
    }

    /// Whether a retention was written too recently to close time by it.
    static func isTooNew(_ record: ProjectRecord, at now: Timestamp) -> Bool {
        record.changedAt.map { now < $0 + grace } ?? false
    }

    /// Where the watermark is to be raised to; `nil` where it cannot rise.
    ///
    /// No further than time is closed, so that no event is stored below it, and no further than the oldest marked minute, which is still to
    /// be counted. `oldestMarked` must have been read after the record: a mark that is not in it then belongs to a flush that sees the
    /// record's `closedBefore`.
    static func raise(_ record: ProjectRecord, oldestMarked: Int64?) -> Timestamp? {
        guard let closed = record.closedBefore else { return nil }
        let target = min(closed, oldestMarked.map(Timestamp.init(minute:)) ?? closed)
        return record.watermark.map { target > $0 } ?? true ? target : nil
    }
}

extension ProjectRecord {
    /// The first minute whose events are all there.
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

    /// The first minute of a project whose events are all there.
    func firstWholeMinute(of project: ProjectID) -> Int64 { self[project]?.firstWholeMinute ?? .min }
}
