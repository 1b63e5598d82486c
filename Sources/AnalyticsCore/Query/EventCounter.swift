internal import CoreMetrics

/// Answers counts: from the cache where the generation of the range still stands, else from days, from the hours and minutes at their sides,
/// and from what is finer where a bucket is marked; from the events at the edges and in marked minutes. Minutes below the watermark are answered from their rollups
/// alone.
public struct EventCounter: Sendable {
    private let store: any RollupStore & ProjectStore
    private let cache: any CountCache
    private let gate: QueryGate
    private let flights = SingleFlight<String, Counts>()
    private let liveMinutes = LiveMinutes()
    private let minuteFlights = SingleFlight<LiveMinute, GroupTable>()

    /// Days, or hours, read at a time. Where there are none the step doubles, up to ``longestStep``: one event with a clock of the year 1 must
    /// not make every count take thousands of queries.
    private static let bucketsAtATime: Int64 = 500
    private static let longestStep: Int64 = 16_000
    /// Minutes read, or counted from their events, at a time.
    private static let minutesAtATime: Int64 = 2_000
    /// A cached count is found again only while its generation stands; this only bounds what old generations take up.
    private static let timeToLive: Duration = .seconds(600)

    public init(store: any RollupStore & ProjectStore, cache: any CountCache, gate: QueryGate) {
        self.store = store
        self.cache = cache
        self.gate = gate
        CacheMetrics.prepare()
        for tier in RollupTier.allCases { _ = Self.unreadable(tier) }
    }

    private static func unreadable(_ tier: RollupTier) -> Counter {
        MetricCatalogue.metrics.rollupUnreadable.make(tier.rawValue)
    }

    /// The counts, and whether they came from the cache. Throws an ``ExpiredRangeError`` where the range cuts a minute whose events may be
    /// deleted, and a ``QueryTooLargeError`` where the answer takes more than one may.
    public func counts(_ query: CountQuery, for asker: Asker = .staying) async throws -> (counts: Counts, cached: Bool) {
        guard let range = try await range(of: query) else { return (.none, false) }
        // The generation is read before anything is computed, never after: what is cached under it is at least as new as it is.
        let generation = try await store.generation(project: query.project, days: Self.days(of: range))
        let key = Self.cacheKey(query, range, generation: generation)
        if let cached = await cached(key) { return (cached, true) }
        let counts = try await asker.whileWaiting {
            try await flights.value(for: key) {
                let counts = try await gate { try await compute(query, range) }
                await cache.store(CountsCodec.encode(counts), for: key, timeToLive: Self.timeToLive)
                return counts
            }
        }
        return (counts, false)
    }

    private func cached(_ key: String) async -> Counts? {
        switch await cache.value(for: key) {
        case .hit(let bytes):
            do throws(CountsCodec.Fault) {
                let counts = try CountsCodec.decode(bytes)
                CacheMetrics.hit.increment()
                return counts
            } catch {
                (error == .unknownFormat ? CacheMetrics.miss : CacheMetrics.error).increment()
            }
        case .miss: CacheMetrics.miss.increment()
        case .unavailable: CacheMetrics.error.increment()
        }
        return nil
    }

    /// The range asked for; held to what there is where the query leaves it open, and where it is long.
    private func range(of query: CountQuery) async throws -> Range<Timestamp>? {
        if let from = query.from, let to = query.to {
            guard from < to else { return nil }
            if to.day - from.day <= Self.bucketsAtATime { return from..<to }
        }
        guard let extent = try await store.extent(project: query.project) else { return nil }
        // Whole days, which are read as such.
        let days = Self.days(of: extent)
        let (first, end) = (Timestamp(day: days.lowerBound), Timestamp(day: days.upperBound))
        let from = max(query.from ?? first, first)
        let to = min(query.to ?? end, end)
        return from < to ? from..<to : nil
    }

    private static func days(of range: Range<Timestamp>) -> Range<Int64> {
        range.lowerBound.day..<Timestamp(milliseconds: range.upperBound.milliseconds - 1).day + 1
    }

    /// Of the range that is computed, not of the one that was asked for: where that is open, events outside of what there was when the
    /// range was decided may be marked before the generation is read, and no longer change it afterwards.
    private static func cacheKey(_ query: CountQuery, _ range: Range<Timestamp>, generation: Int64) -> String {
        let parts: [String] =
            ["counts", String(CountsCodec.format), query.project, query.grouping.rawValue, String(generation)]
            + [String(query.limit), String(range.lowerBound.milliseconds), String(range.upperBound.milliseconds)]
            + [String(query.types.count)] + query.types.sorted() + query.sources.sorted()
        return "counts:" + Digest.hexadecimal(of: parts)
    }

    // MARK: Computing

    private func compute(_ query: CountQuery, _ range: Range<Timestamp>) async throws -> Counts {
        let parts = RangeDecomposition(range)
        var tally = CountTally(query)
        try await addBuckets(.day, [parts.days], to: &tally)
        try await addBuckets(.hour, parts.hours, to: &tally)
        try await addMinutes(parts.minutes, to: &tally)
        for edge in parts.edges { try await addEdge(edge, to: &tally) }
        return try tally.counts
    }

    private func addBuckets(_ tier: RollupTier, _ ranges: [Range<Int64>], to tally: inout CountTally) async throws {
        guard let finer = tier.finer else { return try await addMinutes(ranges, to: &tally) }
        for range in ranges {
            var start = range.lowerBound
            var step = Self.bucketsAtATime
            while start < range.upperBound {
                let end = min(start + step, range.upperBound)
                let page = try await store.rollups(tier, project: tally.project, in: [start..<end], byteLimit: RollupPage.byteLimit)
                let below = coalesce(Self.add(page.rollups, tier, to: &tally).map(\.key.index))
                try await addBuckets(finer, below.scaled(by: tier.parts), to: &tally)
                try tally.check()
                step = page.rollups.isEmpty ? min(step * 2, Self.longestStep) : Self.bucketsAtATime
                start = page.next ?? end
            }
        }
    }

    private func addMinutes(_ minutes: [Range<Int64>], to tally: inout CountTally) async throws {
        for ranges in slices(minutes, length: Self.minutesAtATime) {
            try await store.eachRollupPage(.minute, project: tally.project, in: ranges) { page in
                try await addLive(Self.add(page, .minute, to: &tally), to: &tally)
                try tally.check()
            }
        }
    }

    /// Adds what is counted, and returns the buckets that are to be counted from what is finer: marked ones, and those whose groups their
    /// tables do not tell.
    private static func add(_ rollups: [Rollup], _ tier: RollupTier, to tally: inout CountTally) -> [Rollup] {
        rollups.filter { $0.dirty || !add($0.table, tier, to: &tally) }
    }

    /// False when the table does not tell its groups.
    private static func add(_ table: GroupTable, _ tier: RollupTier, to tally: inout CountTally) -> Bool {
        do throws(GroupTable.Unreadable) {
            try tally.add(table)
            return true
        } catch {
            if error == .damaged { unreadable(tier).increment() }
            return false
        }
    }

    /// A part of a minute, which only its events can tell.
    private func addEdge(_ edge: Range<Timestamp>, to tally: inout CountTally) async throws {
        let counted = try await store.countEvents(tally.selection, in: [edge], into: tally.emptied)
        // Read after the events: whatever was deleted before they were counted lies below it.
        let record = try await store.newestRecords(of: [tally.project]).first
        let minute = edge.lowerBound.minute
        guard let record, let watermark = record.watermark, minute < record.firstWholeMinute else { return tally.add(counted) }
        let page = try await store.rollups(.minute, project: tally.project, in: [minute..<minute + 1], byteLimit: RollupPage.byteLimit)
        guard page.rollups.allSatisfy({ $0.table.size == 0 }) else { throw ExpiredRangeError(watermark: watermark) }
    }

    /// Minutes that their rollups do not tell, from their events.
    private func addLive(_ minutes: [Rollup], to tally: inout CountTally) async throws {
        var unknown: [Rollup] = []
        for rollup in minutes {
            let table = rollup.dirty ? await liveMinutes.table(of: rollup) : nil
            if table.map({ Self.add($0, .minute, to: &tally) }) != true { unknown.append(rollup) }
        }
        if unknown.count <= Self.sharedMinutes {
            var beyond: [Rollup] = []
            for rollup in unknown {
                // Of one that is not marked it is known that its table does not hold it.
                if rollup.dirty, Self.add(try await shared(rollup), .minute, to: &tally) { continue }
                beyond.append(rollup)
            }
            unknown = beyond
        }
        try await addEvents(of: coalesce(unknown.map(\.key.index)), to: &tally)
    }

    /// Counts whole minutes from those of their events that are asked for. Minutes below the watermark as their rollups say, which were
    /// complete when it rose past them.
    private func addEvents(of minutes: [Range<Int64>], to tally: inout CountTally) async throws {
        guard !minutes.isEmpty else { return }
        var (whole, counted, first) = (minutes, tally.emptied, Int64.min)
        repeat {
            whole = whole.from(first)
            counted = try await store.countEvents(tally.selection, in: whole.map(\.times), into: tally.emptied)
            // Read after the events: whatever was deleted before they were counted lies below it.
            first = try await store.newestRecords(of: [tally.project]).first?.firstWholeMinute ?? .min
        } while whole.from(first) != whole
        tally.add(counted)
        // As they are now: what was read before may be older than the watermark.
        try await store.eachRollupPage(.minute, project: tally.project, in: minutes.before(first)) { page in
            for rollup in page where !Self.add(rollup.table, .minute, to: &tally) {
                throw QueryTooLargeError(.uncounted(minute: Timestamp(minute: rollup.key.index)))
            }
        }
    }
}

extension EventCounter {
    /// A version of a minute that is marked.
    private struct LiveMinute: Hashable {
        var key: BucketKey
        var version: Int64
    }

    /// Marked minutes up to which each is counted by itself, once for all who ask at the same time, whatever their filters: the live ones.
    private static let sharedMinutes = 3

    /// All who share have read this version, so the count holds every event that any of them has to see.
    private func shared(_ rollup: Rollup) async throws -> GroupTable {
        try await minuteFlights.value(for: LiveMinute(key: rollup.key, version: rollup.version)) { [self] in
            let (project, minute) = (rollup.key.project, rollup.key.index)
            var table = try await store.countMinutes(of: project, in: [minute..<minute + 1]).tables[minute] ?? .empty
            // Read after the events: whatever was deleted before they were counted lies below it.
            let first = try await store.newestRecords(of: [project]).first?.firstWholeMinute ?? .min
            if minute < first {
                // As it is now: what was read before may be older than the watermark.
                let page = try await store.rollups(.minute, project: project, in: [minute..<minute + 1], byteLimit: RollupPage.byteLimit)
                table = page.rollups.first?.table ?? .empty
            }
            await liveMinutes.remember(table, of: rollup)
            return table
        }
    }
}

extension Range<Int64> {
    /// Of a range of minutes.
    var times: Range<Timestamp> { Timestamp(minute: lowerBound)..<Timestamp(minute: upperBound) }
}

/// A range of a count begins or ends inside a minute whose events may be deleted: what lies on either side is not known any more.
public struct ExpiredRangeError: Error, Sendable {
    /// The first moment whose events are all there.
    public var watermark: Timestamp
}

/// Remembers what a marked minute counted to, for as long as no further mark comes: a minute that stays hot is then not counted
/// from its events for every reader. Holds at most ``limit`` minutes and ``byteLimit`` bytes of them.
private actor LiveMinutes {
    private var memory: [BucketKey: (version: Int64, table: GroupTable)] = [:]
    private var bytes = 0
    private static let limit = 128
    private static let byteLimit = 16 << 20

    func table(of rollup: Rollup) -> GroupTable? {
        guard let entry = memory[rollup.key], entry.version == rollup.version else { return nil }
        return entry.table
    }

    /// `rollup` was read before its events were counted, so the table is at least as new as its version.
    func remember(_ table: GroupTable, of rollup: Rollup) {
        if let entry = memory[rollup.key], entry.version > rollup.version { return }
        forget(rollup.key)
        memory[rollup.key] = (rollup.version, table)
        bytes += table.size
        while memory.count > Self.limit || bytes > Self.byteLimit, let oldest = memory.keys.min(by: { $0.index < $1.index }) {
            forget(oldest)
        }
    }

    private func forget(_ key: BucketKey) {
        if let entry = memory.removeValue(forKey: key) { bytes -= entry.table.size }
    }
}
