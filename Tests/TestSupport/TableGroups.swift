package import AnalyticsCore

/// Tables as groups, which tests compare and change: by type and source, as a table keeps them.
extension Rollup {
    package init(key: BucketKey, version: Int64, done: Int64, dirty: Bool, groups: [RollupGroup]) {
        self.init(key: key, version: version, done: done, dirty: dirty, table: GroupTable(groups))
    }

    package var groups: [RollupGroup] {
        get { (try? table.groups()) ?? [] }
        set { table = GroupTable(newValue) }
    }
}

extension RolledBucket {
    package init(key: BucketKey, version: Int64, groups: [RollupGroup]) {
        self.init(key: key, version: version, table: GroupTable(groups))
    }
}

extension BucketMark {
    package init(key: BucketKey, groups: [RollupGroup]) {
        self.init(key: key, table: GroupTable(groups))
    }
}

/// One minute, counted from its events.
package struct MinuteCounts: Equatable {
    /// Minutes since 1970.
    package var minute: Int64
    package var groups: [RollupGroup]

    package init(minute: Int64, groups: [RollupGroup]) {
        self.minute = minute
        self.groups = groups
    }
}

/// Collects what a store counts.
private struct CollectedCounts: CountReducer {
    private(set) var minutes: [MinuteCounts] = []

    mutating func add(_ row: EventCount) -> Bool {
        if minutes.last?.minute != row.minute { minutes.append(MinuteCounts(minute: row.minute, groups: [])) }
        minutes[minutes.count - 1].groups.append(
            RollupGroup(type: row.type, source: row.source, count: row.count, bots: row.bots == 0 ? [] : [row.bots]))
        return true
    }

    mutating func finish() {}
}

extension RollupStore {
    /// Raises the generations of days.
    package func bumpGenerations(_ days: [BucketKey]) async throws(StoreError) { try await mark(.day, days) }

    package func countEvents(project: ProjectID, in ranges: [Range<Timestamp>]) async throws(StoreError) -> [MinuteCounts] {
        try await countEvents(Selection(project: project), in: ranges, into: CollectedCounts()).minutes
    }

    package func rollups(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Rollup] {
        try await rollups(tier, project: project, in: ranges, byteLimit: .max).rollups
    }
}

extension GroupTable {
    package var sortedGroups: [RollupGroup] { (try? groups()) ?? [] }
}
