internal import CoreMetrics

/// Answers counts: from the cache where the generation of the range still stands, else from hours, from the minutes of marked hours and
/// of the sides, and from the events of marked minutes and of the edges. Minutes below the watermark are answered from their rollups
/// alone.
public struct EventCounter: Sendable {
    private let store: any RollupStore & ProjectStore
    private let cache: any CountCache
    private let flights = SingleFlight<String, Counts>()
    private let liveMinutes = LiveMinutes()
    private let minuteFlights = SingleFlight<LiveMinute, [RollupGroup]>()

    /// Hours read at a time; bounds what a count over years holds in memory. Where there are none the step doubles, up to ``longestStep``:
    /// one event with a clock of the year 1 must not make every count take thousands of queries.
    private static let hoursAtATime: Int64 = 500
    private static let longestStep: Int64 = 16_000
    /// Minutes read, or counted from their events, at a time.
    private static let minutesAtATime: Int64 = 2_000
    /// A cached count is found again only while its generation stands; this only bounds what old generations take up.
    private static let timeToLive: Duration = .seconds(600)

    public init(store: any RollupStore & ProjectStore, cache: any CountCache) {
        self.store = store
        self.cache = cache
        CacheMetrics.prepare()
    }

    /// The counts, and whether they came from the cache. Throws an ``ExpiredRangeError`` where the range cuts a minute whose events may be
    /// deleted.
    public func counts(_ query: CountQuery) async throws -> (counts: Counts, cached: Bool) {
        guard let range = try await range(of: query) else { return (.none, false) }
        // The generation is read before anything is computed, never after: what is cached under it is at least as new as it is.
        let generation = try await store.generation(project: query.project, days: Self.days(of: range))
        let key = Self.cacheKey(query, range, generation: generation)
        if let cached = await cached(key) { return (cached, true) }
        let counts = try await flights.value(for: key) {
            let counts = try await compute(query, range)
            await cache.store(CountsCodec.encode(counts), for: key, timeToLive: Self.timeToLive)
            return counts
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
            if to.hour - from.hour <= Self.hoursAtATime { return from..<to }
        }
        guard let extent = try await store.extent(project: query.project) else { return nil }
        let from = max(query.from ?? extent.lowerBound, extent.lowerBound)
        let to = min(query.to ?? extent.upperBound, extent.upperBound)
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
            + [String(range.lowerBound.milliseconds), String(range.upperBound.milliseconds)]
            + [String(query.types.count)] + query.types.sorted() + query.sources.sorted()
        return "counts:" + Digest.hexadecimal(of: parts)
    }

    // MARK: Computing

    private func compute(_ query: CountQuery, _ range: Range<Timestamp>) async throws -> Counts {
        let cover = RangeCover(range)
        var tally = Tally(query)
        var start = cover.hours.lowerBound
        var step = Self.hoursAtATime
        while start < cover.hours.upperBound {
            let end = min(start + step, cover.hours.upperBound)
            let hours = try await store.rollups(.hour, project: query.project, in: [start..<end])
            let marked = try tally.add(hours).map(\.key.index)
            try await addMinutes(coalesce(marked).map { $0.lowerBound * 60..<$0.upperBound * 60 }, to: &tally)
            step = hours.isEmpty ? min(step * 2, Self.longestStep) : Self.hoursAtATime
            start = end
        }
        try await addMinutes(cover.minutes, to: &tally)
        for edge in cover.edges {
            for minute in try await counted(edge, of: query.project) { try tally.add(minute.groups) }
        }
        return try tally.counts
    }

    /// A part of a minute, which only its events can tell.
    private func counted(_ edge: Range<Timestamp>, of project: String) async throws -> [MinuteCounts] {
        let counted = try await store.countEvents(project: project, in: [edge])
        // Read after the events: whatever was deleted before they were counted lies below it.
        let record = try await store.newestRecords(of: [project]).first
        let minute = edge.lowerBound.minute
        guard let record, let watermark = record.watermark, minute < record.firstWholeMinute else { return counted }
        let isEmpty = try await store.rollups(.minute, project: project, in: [minute..<minute + 1]).allSatisfy(\.groups.isEmpty)
        guard isEmpty else { throw ExpiredRangeError(watermark: watermark) }
        return []
    }

    private func addMinutes(_ minutes: [Range<Int64>], to tally: inout Tally) async throws {
        for ranges in slices(minutes, length: Self.minutesAtATime) {
            let marked = try tally.add(try await store.rollups(.minute, project: tally.query.project, in: ranges))
            try await count(marked, into: &tally)
        }
    }

    /// Counts marked minutes from their events.
    private func count(_ marked: [Rollup], into tally: inout Tally) async throws {
        var unknown: [Rollup] = []
        for rollup in marked {
            if let groups = await liveMinutes.groups(of: rollup) { try tally.add(groups) } else { unknown.append(rollup) }
        }
        if unknown.count <= Self.sharedMinutes {
            for rollup in unknown { try tally.add(try await shared(rollup)) }
            return
        }
        let versions = Dictionary(uniqueKeysWithValues: unknown.map { ($0.key.index, $0) })
        for ranges in slices(coalesce(unknown.map(\.key.index)), length: Self.minutesAtATime) {
            for minute in try await groups(of: tally.query.project, in: ranges) {
                try tally.add(minute.groups)
                if let rollup = versions[minute.minute] { await liveMinutes.remember(minute.groups, of: rollup) }
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
    private func shared(_ rollup: Rollup) async throws -> [RollupGroup] {
        try await minuteFlights.value(for: LiveMinute(key: rollup.key, version: rollup.version)) { [self] in
            let minute = rollup.key.index
            let groups = try await groups(of: rollup.key.project, in: [minute..<minute + 1]).first?.groups ?? []
            await liveMinutes.remember(groups, of: rollup)
            return groups
        }
    }

    /// Marked minutes, counted from their events; those below the watermark as their rollups say, which were complete when it rose past
    /// them.
    private func groups(of project: String, in ranges: [Range<Int64>]) async throws -> [MinuteCounts] {
        let times = ranges.map { Timestamp(minute: $0.lowerBound)..<Timestamp(minute: $0.upperBound) }
        let counted = try await store.countEvents(project: project, in: times)
        // Read after the events: whatever was deleted before they were counted lies below it.
        let first = try await store.newestRecords(of: [project]).first?.firstWholeMinute ?? .min
        let expired = ranges.compactMap { $0.lowerBound < first ? $0.lowerBound..<min($0.upperBound, first) : nil }
        guard !expired.isEmpty else { return counted }
        // As they are now: what was read before may be older than the watermark.
        let rollups = try await store.rollups(.minute, project: project, in: expired)
        return rollups.map { MinuteCounts(minute: $0.key.index, groups: $0.groups) } + counted.filter { $0.minute >= first }
    }
}

/// A range of a count begins or ends inside a minute whose events may be deleted: what lies on either side is not known any more.
public struct ExpiredRangeError: Error, Sendable {
    /// The first moment whose events are all there.
    public var watermark: Timestamp
}

/// Adds groups up under the query's filters and grouping.
private struct Tally {
    let query: CountQuery
    private let types: Set<ExactText>
    private let sources: Set<ExactText>
    private var sums: [ExactText: Int64] = [:]

    init(_ query: CountQuery) {
        self.query = query
        types = Set(query.types.map(ExactText.init))
        sources = Set(query.sources.map(ExactText.init))
    }

    /// Adds the rollups that are not marked and gives back those that are.
    mutating func add(_ rollups: [Rollup]) throws(StoreError) -> [Rollup] {
        var marked: [Rollup] = []
        for rollup in rollups {
            if rollup.dirty { marked.append(rollup) } else { try add(rollup.groups) }
        }
        return marked
    }

    mutating func add(_ groups: [RollupGroup]) throws(StoreError) {
        for group in groups {
            let (type, source) = (ExactText(group.type), ExactText(group.source))
            guard types.isEmpty || types.contains(type), sources.isEmpty || sources.contains(source) else { continue }
            let name = query.grouping == .type ? type : source
            let (sum, overflow) = sums[name, default: 0].addingReportingOverflow(group.count)
            guard !overflow else { throw Self.overflow }
            sums[name] = sum
        }
    }

    var counts: Counts {
        get throws(StoreError) {
            guard let counts = Counts(exact: sums) else { throw Self.overflow }
            return counts
        }
    }

    private static let overflow = StoreError(
        .misconfigured, operation: "counts", "stored counts add up to more than 64 bits hold: some of them are damaged")
}

/// Remembers what a marked minute counted to, for as long as no further mark comes: a minute that stays hot is then not counted
/// from its events for every reader. Holds at most ``limit`` minutes.
private actor LiveMinutes {
    private var memory: [BucketKey: (version: Int64, groups: [RollupGroup])] = [:]
    private static let limit = 128

    func groups(of rollup: Rollup) -> [RollupGroup]? {
        guard let entry = memory[rollup.key], entry.version == rollup.version else { return nil }
        return entry.groups
    }

    /// `rollup` was read before its events were counted, so the groups are at least as new as its version.
    func remember(_ groups: [RollupGroup], of rollup: Rollup) {
        if let entry = memory[rollup.key], entry.version > rollup.version { return }
        if memory.count >= Self.limit, memory[rollup.key] == nil, let oldest = memory.keys.min(by: { $0.index < $1.index }) {
            memory[oldest] = nil
        }
        memory[rollup.key] = (rollup.version, groups)
    }
}
