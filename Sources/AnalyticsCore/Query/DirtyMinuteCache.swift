/// Counts of marked minutes. Each version is counted once and shared by all questions.
struct DirtyMinuteCache: Sendable {
    /// A version of a marked minute.
    private struct Version: Hashable {
        var key: BucketKey
        var version: Int64
    }

    private let store: any RollupStore & ProjectStore
    private let memory = DirtyMinuteMemory()
    private let inFlight = SingleFlight<Version, GroupTable>()
    private let interest: LiveInterest
    /// Events beyond which a minute is counted in spans.
    private let largeMinute: Int

    /// Up to this many marked minutes are counted one by one: the live ones. More are counted together, and only the selected events.
    static let sharedAtATime = 3

    init(store: any RollupStore & ProjectStore, interest: LiveInterest, largeMinute: Int = LiveMinutes.worthKeeping) {
        self.store = store
        self.interest = interest
        self.largeMinute = largeMinute
    }

    func remembered(_ rollup: Rollup) async -> GroupTable? { await memory.table(of: rollup) }

    /// All callers that share the count have read this version, so it holds every event that any of them has to see.
    func counted(_ rollup: Rollup) async throws -> GroupTable {
        let table = try await shared(rollup)
        if (try? table.total()) ?? 0 > largeMinute { interest.note(rollup.key.project, .counts) }
        return table
    }

    /// Updates the counts of marked minutes for projects with recent questions.
    func keepUp(_ minutes: Range<Int64>) async throws {
        for project in interest.projects(.counts) {
            let page = try await store.rollups(.minute, project: project, in: [minutes], byteLimit: RollupPage.byteLimit)
            for rollup in page.rollups where rollup.dirty {
                if await remembered(rollup) != nil { continue }
                // If the minute before had many events, this one will too.
                await memory.remember(MinuteSpans(), of: rollup.key)
                _ = try await shared(rollup)
            }
        }
    }

    private func shared(_ rollup: Rollup) async throws -> GroupTable {
        try await inFlight.value(for: Version(key: rollup.key, version: rollup.version)) { [self] in
            let (project, minute) = (rollup.key.project, rollup.key.index)
            var table = try await count(rollup.key)
            // Read after the events: anything deleted before the count lies below this watermark.
            let first = try await store.newestRecords(of: [project]).first?.firstWholeMinute ?? .min
            if minute < first {
                // Read again: `rollup` may be older than the watermark.
                let page = try await store.rollups(.minute, project: project, in: [minute..<minute + 1], byteLimit: RollupPage.byteLimit)
                table = page.rollups.first?.table ?? .empty
            }
            await memory.remember(table, of: rollup)
            return table
        }
    }

    /// In a large minute, only the spans marked since the last count are counted again.
    private func count(_ key: BucketKey) async throws -> GroupTable {
        // The stamp is read before the events: the events may be newer than it, never older.
        guard let before = await memory.spans(of: key), let stamp = try await store.minuteStamp(key) else {
            let counted = try await store.countMinutes(of: key.project, in: [key.index..<key.index + 1])
            if counted.events[key.index] ?? 0 > largeMinute { await memory.remember(MinuteSpans(), of: key) }
            return counted.tables[key.index] ?? .empty
        }
        var spans = before
        for span in spans.changed(at: stamp) {
            let counted = try await store.countEvents(
                Selection(project: key.project), in: MinuteSpans.parts(span).ranges(of: key.index), into: MinuteTables())
            spans.tables[span] = counted.tables[key.index] ?? .empty
        }
        spans.stamp = stamp
        await memory.remember(spans, of: key)
        return spans.table
    }
}

/// The counts of each second of a large minute.
private struct MinuteSpans {
    /// Read before the events were counted; `nil` before the first count.
    var stamp: MinuteStamp?
    var tables = [GroupTable](repeating: .empty, count: count)

    private static let count = 60
    private static let length = MinuteParts.count / count

    static func parts(_ span: Int) -> MinuteParts { MinuteParts(span * length..<(span + 1) * length) }

    /// The spans in which events may have changed.
    func changed(at stamp: MinuteStamp) -> [Int] {
        let parts = self.stamp.flatMap { stamp.changes(since: $0) } ?? .all
        return tables.indices.filter { !parts.isDisjoint(with: Self.parts($0)) }
    }

    var table: GroupTable {
        var sums = GroupSums(hasQuarters: false)
        for table in tables { sums.add(table, quarter: 0) }
        return sums.table
    }

    var size: Int { tables.reduce(0) { $0 + $1.size } }
}

/// Keeps the count of a marked minute until its next mark, so that a busy minute is not counted again for every reader. Holds at most
/// ``limit`` minutes and ``byteLimit`` bytes.
private actor DirtyMinuteMemory {
    private var tables: [BucketKey: (version: Int64, table: GroupTable)] = [:]
    private var bytes = 0
    private static let limit = 128
    private static let byteLimit = 16 << 20
    /// For large minutes: at most ``spansLimit``, each of at most ``spansByteLimit``.
    private var spans: [BucketKey: MinuteSpans] = [:]
    private static let spansLimit = 16
    private static let spansByteLimit = 1 << 20

    /// `nil` if the minute is not known to be large.
    func spans(of key: BucketKey) -> MinuteSpans? { spans[key] }

    func remember(_ spans: MinuteSpans, of key: BucketKey) {
        // Without a stamp, `spans` only says that the minute is large.
        if spans.stamp == nil, self.spans[key] != nil { return }
        guard spans.size <= Self.spansByteLimit else {
            self.spans[key] = nil
            return
        }
        if let known = self.spans[key]?.stamp, let own = spans.stamp, known.version > own.version { return }
        self.spans[key] = spans
        while self.spans.count > Self.spansLimit, let oldest = self.spans.keys.min(by: { $0.index < $1.index }) { self.spans[oldest] = nil }
    }

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
