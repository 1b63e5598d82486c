internal import CoreMetrics

/// Reads all that a selection covers in a range, and gives it to a reducer: days, the hours and minutes at their sides, what is finer where a bucket
/// is marked, and the events of marked minutes and of parts of minutes. Minutes below the watermark are read from their rollups alone.
///
/// A selection that rollups do not tell is read from the events alone.
struct RollupReader<Reducer: GroupReducer> {
    let store: any RollupStore & ProjectStore
    let dirtyMinutes: DirtyMinuteCache
    let keptDays: KeptDays
    let selection: Selection
    var reducer: Reducer
    let source: AnswerSource
    private let hasBoundaries: Bool

    /// Days, or hours, read at a time. Where there are none the step doubles, up to ``longestStep``: one event with a clock of the year 1 must
    /// not make every question take thousands of queries.
    private static var bucketsAtATime: Int64 { 500 }
    static var longestStep: Int64 { 16_000 }
    /// Minutes read, or counted from their events, at a time.
    static var minutesAtATime: Int64 { 2_000 }

    init(
        _ store: any RollupStore & ProjectStore, _ dirtyMinutes: DirtyMinuteCache, _ keptDays: KeptDays, _ selection: Selection,
        _ reducer: Reducer, from source: AnswerSource = .stored
    ) {
        self.source = source
        self.keptDays = keptDays
        self.store = store
        self.dirtyMinutes = dirtyMinutes
        self.selection = selection
        self.reducer = reducer
        hasBoundaries = !reducer.boundaries.isEmpty
    }

    mutating func read(_ range: Range<Timestamp>) async throws {
        let parts = RangeDecomposition(range, boundaries: reducer.boundaries)
        guard selection.isToldByRollups else { return try await addEvents(of: parts, from: range.lowerBound) }
        try await read(parts)
    }

    /// What rollups tell.
    mutating func read(_ parts: RangeDecomposition) async throws {
        if source.isEvents {
            try await recount(parts.wholeMinutes)
        } else {
            try await addDays(parts.days)
            try await addBuckets(.hour, parts.hours)
            try await addMinutes(parts.minutes)
        }
        for edge in parts.edges { try await addEdge(edge) }
        try reducer.check()
    }

    /// Days that are kept, and the others from the store.
    private mutating func addDays(_ days: [Range<Int64>]) async throws {
        guard case .stored = source else { return try await addBuckets(.day, days) }
        for days in slices(days, length: Self.longestStep) {
            try Task.checkCancellation()
            // Read before anything of the days. A day without a version has no event that was acknowledged.
            let versions = try await store.versions(.day, project: selection.project, in: days)
            let (kept, others) = await keptDays.find(versions, of: selection.project)
            // What a table does not tell is finer than it, whether the table is kept or not.
            let untold = add(kept, .day).map(\.key.index)
            try reducer.check()
            let rest = Set(others + untold)
            // Within a range, days without a version may be passed over.
            let ranges = days.flatMap { range in
                coalesce(range.filter(rest.contains), acrossGapsOf: 30) { versions[$0] == nil }
            }
            try await addBuckets(.day, ranges)
        }
    }

    private mutating func addBuckets(_ tier: RollupTier, _ ranges: [Range<Int64>]) async throws {
        guard let finer = tier.finer else { return try await addMinutes(ranges) }
        var rest = ranges[...]
        var step = Self.bucketsAtATime
        while let slice = rest.popSlice(length: step) {
            let page = try await store.rollups(tier, project: selection.project, in: slice, byteLimit: RollupPage.byteLimit)
            let below = coalesce(add(page.rollups, tier).map(\.key.index))
            if tier == .day, case .stored = source { await keptDays.keep(page.rollups) }
            try await addBuckets(finer, below.scaled(by: tier.parts))
            try reducer.check()
            step = page.rollups.isEmpty ? min(step * 2, Self.longestStep) : Self.bucketsAtATime
            if let next = page.next { rest = (slice.from(next) + rest)[...] }
        }
    }

    private mutating func addMinutes(_ minutes: [Range<Int64>]) async throws {
        for ranges in slices(minutes, length: Self.minutesAtATime) {
            try await store.eachRollupPage(.minute, project: selection.project, in: ranges) { page in
                try await addDirty(add(page, .minute))
                try reducer.check()
            }
        }
    }

    /// Adds what is counted, and returns the buckets that are to be read from what is finer: marked ones, and those whose groups their
    /// tables do not tell.
    private mutating func add(_ rollups: [Rollup], _ tier: RollupTier) -> [Rollup] {
        var finer: [Rollup] = []
        for rollup in rollups {
            let isTold = !rollup.dirty && add(rollup.table, tier, rollup.key.index)
            if !isTold { finer.append(rollup) }
            if isTold || tier != .minute { source.record?.add(rollup, tier, isTold ? .rollup : .finer) }
        }
        return finer
    }

    /// False when the table does not tell its groups.
    mutating func add(_ table: GroupTable, _ tier: RollupTier, _ index: Int64) -> Bool {
        do throws(GroupTable.Unreadable) {
            // Quarters are needed where a boundary may lie between them.
            guard tier != .hour || !hasBoundaries || table.hasQuarters else { throw .damaged }
            try reducer.add(table, of: BucketSpan(tier: tier, index: index))
            return true
        } catch {
            if error == .damaged { RollupMetrics.unreadable(tier).increment() }
            return false
        }
    }

    /// Minutes that their rollups do not tell, from their events.
    private mutating func addDirty(_ minutes: [Rollup]) async throws {
        var unknown: [Rollup] = []
        for rollup in minutes {
            let table = rollup.dirty ? await dirtyMinutes.remembered(rollup) : nil
            let isRemembered = table.map { add($0, .minute, rollup.key.index) } ?? false
            if !isRemembered { unknown.append(rollup) }
            source.record?.add(rollup, .minute, isRemembered ? .cache : .events)
        }
        if unknown.count <= DirtyMinuteCache.sharedAtATime {
            var beyond: [Rollup] = []
            for rollup in unknown {
                // Of one that is not marked it is known that its table does not hold it.
                if rollup.dirty, add(try await dirtyMinutes.counted(rollup), .minute, rollup.key.index) { continue }
                beyond.append(rollup)
            }
            unknown = beyond
        }
        try await addEvents(of: coalesce(unknown.map(\.key.index)))
    }
}
