internal import CoreMetrics

/// Reads a selection in a range for a reducer: days, then the hours and minutes at both ends, finer buckets where one is marked, and
/// the events of marked minutes and of parts of minutes. Minutes below the watermark are read from their rollups alone.
///
/// A selection that rollups cannot answer is read from the events alone.
struct RollupReader<Reducer: GroupReducer> {
    let store: any RollupStore & ProjectStore
    let dirtyMinutes: DirtyMinuteCache
    let keptDays: KeptDays
    let selection: Selection
    var reducer: Reducer
    let source: AnswerSource
    private let hasBoundaries: Bool

    /// Whether it reads tables of groups. Only these are kept for other questions.
    static var readsGroups: Bool { Reducer.content == .groups }

    /// Days or hours per read. While reads find none, the step doubles, up to ``longestStep``: one event with a clock in the year 1
    /// must not cost every question thousands of queries.
    private static var bucketsAtATime: Int64 { 500 }
    static var longestStep: Int64 { 16_000 }
    /// Minutes per read, or per count from their events.
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

    /// Reads what rollups can answer.
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

    /// Adds kept days, and reads the others from the store.
    private mutating func addDays(_ days: [Range<Int64>]) async throws {
        guard keepsDays else { return try await addBuckets(.day, days) }
        for days in slices(days, length: Self.longestStep) {
            try Task.checkCancellation()
            // Read before any data of the days. A day without a version has no acknowledged event.
            let versions = try await store.versions(.day, project: selection.project, in: days)
            let (kept, others) = await keptDays.find(versions, of: selection.project)
            // A table that cannot answer needs finer buckets, whether it was kept or read.
            let untold = add(kept, .day).map(\.key.index)
            try reducer.check()
            let rest = Set(others + untold)
            // Within a range, days without a version may be included.
            let ranges = days.flatMap { range in
                coalesce(range.filter(rest.contains), acrossGapsOf: 30) { versions[$0] == nil }
            }
            try await addBuckets(.day, ranges)
        }
    }

    private var keepsDays: Bool { if case .stored = source { Self.readsGroups } else { false } }

    private mutating func addBuckets(_ tier: RollupTier, _ ranges: [Range<Int64>]) async throws {
        guard let finer = tier.finer else { return try await addMinutes(ranges) }
        var rest = ranges[...]
        var step = Self.bucketsAtATime
        while let slice = rest.popSlice(length: step) {
            let page = try await store.rollups(
                tier, project: selection.project, in: slice, byteLimit: RollupPage.byteLimit, content: Reducer.content)
            let below = coalesce(add(page.rollups, tier).map(\.key.index))
            if tier == .day, keepsDays { await keptDays.keep(page.rollups) }
            try await addBuckets(finer, below.scaled(by: tier.parts))
            try reducer.check()
            step = page.rollups.isEmpty ? min(step * 2, Self.longestStep) : Self.bucketsAtATime
            if let next = page.next { rest = (slice.from(next) + rest)[...] }
        }
    }

    private mutating func addMinutes(_ minutes: [Range<Int64>]) async throws {
        for ranges in slices(minutes, length: Self.minutesAtATime) {
            try await store.eachRollupPage(.minute, project: selection.project, in: ranges, content: Reducer.content) { page in
                try await addDirty(add(page, .minute))
                try reducer.check()
            }
        }
    }

    /// Adds counted buckets. Returns those to be read from finer buckets: marked ones, and those whose tables do not have the counts.
    private mutating func add(_ rollups: [Rollup], _ tier: RollupTier) -> [Rollup] {
        var finer: [Rollup] = []
        for rollup in rollups {
            let isTold = !rollup.dirty && add(rollup, tier)
            if !isTold { finer.append(rollup) }
            if isTold || tier != .minute { source.record?.add(rollup, tier, isTold ? .rollup : .finer) }
        }
        return finer
    }

    /// False if the tables do not have the counts.
    mutating func add(_ rollup: Rollup, _ tier: RollupTier) -> Bool {
        do throws(GroupTable.Unreadable) {
            // Quarters are needed if a boundary may lie between them.
            guard tier != .hour || !hasBoundaries || rollup.table.hasQuarters else { throw .damaged }
            try reducer.add(rollup, of: BucketSpan(tier: tier, index: rollup.key.index))
            return true
        } catch {
            if error == .damaged { RollupMetrics.unreadable(tier).increment() }
            return false
        }
    }

    /// Counts minutes that their rollups cannot answer, from their events.
    private mutating func addDirty(_ minutes: [Rollup]) async throws {
        guard Self.readsGroups else {
            try await addEvents(of: coalesce(minutes.map(\.key.index)))
            return
        }
        var unknown: [Rollup] = []
        for rollup in minutes {
            let table = rollup.dirty ? await dirtyMinutes.remembered(rollup) : nil
            var isRemembered = false
            if let table { isRemembered = add(rollup.with(table), .minute) }
            if !isRemembered { unknown.append(rollup) }
            source.record?.add(rollup, .minute, isRemembered ? .cache : .events)
        }
        if unknown.count <= DirtyMinuteCache.sharedAtATime {
            var beyond: [Rollup] = []
            for rollup in unknown {
                // If it is not marked, its table is known not to have the groups.
                if rollup.dirty, add(rollup.with(try await dirtyMinutes.counted(rollup)), .minute) { continue }
                beyond.append(rollup)
            }
            unknown = beyond
        }
        try await addEvents(of: coalesce(unknown.map(\.key.index)))
    }
}

extension Rollup {
    fileprivate func with(_ table: GroupTable) -> Rollup {
        var rollup = self
        rollup.table = table
        return rollup
    }
}
