/// What marked minutes count to, counted once per version for all who ask, whatever they ask for.
struct DirtyMinuteCache: Sendable {
    /// A version of a minute that is marked.
    private struct Version: Hashable {
        var key: BucketKey
        var version: Int64
    }

    private let store: any RollupStore & ProjectStore
    private let memory = DirtyMinuteMemory()
    private let inFlight = SingleFlight<Version, GroupTable>()

    /// Marked minutes up to which each is counted by itself: the live ones. More of them are counted together, and only what is asked for.
    static let sharedAtATime = 3

    init(store: any RollupStore & ProjectStore) {
        self.store = store
    }

    func remembered(_ rollup: Rollup) async -> GroupTable? { await memory.table(of: rollup) }

    /// All who share have read this version, so the count holds every event that any of them has to see.
    func counted(_ rollup: Rollup) async throws -> GroupTable {
        try await inFlight.value(for: Version(key: rollup.key, version: rollup.version)) { [self] in
            let (project, minute) = (rollup.key.project, rollup.key.index)
            var table = try await store.countMinutes(of: project, in: [minute..<minute + 1]).tables[minute] ?? .empty
            // Read after the events: whatever was deleted before they were counted lies below it.
            let first = try await store.newestRecords(of: [project]).first?.firstWholeMinute ?? .min
            if minute < first {
                // As it is now: what was read before may be older than the watermark.
                let page = try await store.rollups(.minute, project: project, in: [minute..<minute + 1], byteLimit: RollupPage.byteLimit)
                table = page.rollups.first?.table ?? .empty
            }
            await memory.remember(table, of: rollup)
            return table
        }
    }
}

/// Remembers what a marked minute counted to, for as long as no further mark comes: a minute that stays hot is then not counted
/// from its events for every reader. Holds at most ``limit`` minutes and ``byteLimit`` bytes of them.
private actor DirtyMinuteMemory {
    private var tables: [BucketKey: (version: Int64, table: GroupTable)] = [:]
    private var bytes = 0
    private static let limit = 128
    private static let byteLimit = 16 << 20

    func table(of rollup: Rollup) -> GroupTable? {
        guard let entry = tables[rollup.key], entry.version == rollup.version else { return nil }
        return entry.table
    }

    /// `rollup` was read before its events were counted, so the table is at least as new as its version.
    func remember(_ table: GroupTable, of rollup: Rollup) {
        if let entry = tables[rollup.key], entry.version > rollup.version { return }
        forget(rollup.key)
        tables[rollup.key] = (rollup.version, table)
        bytes += table.size
        while tables.count > Self.limit || bytes > Self.byteLimit, let oldest = tables.keys.min(by: { $0.index < $1.index }) {
            forget(oldest)
        }
    }

    private func forget(_ key: BucketKey) {
        if let entry = tables.removeValue(forKey: key) { bytes -= entry.table.size }
    }
}
