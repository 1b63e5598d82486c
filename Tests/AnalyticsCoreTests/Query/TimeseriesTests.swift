import TestSupport
import Testing

@testable import AnalyticsCore

/// Rolled = unrolled = cached = counted one by one.
@Suite(.timeLimit(.minutes(5)))
struct TimeseriesTests {
    private let store = MemoryStore()

    private func brute(_ query: TimeseriesQuery, _ events: [Event], bots: Set<String>) -> Timeseries {
        let selection = query.selection
        var rows: [GroupKey: [Int64]] = [:]
        for event in events where event.project == selection.project && (selection.includesBots || !bots.contains(event.id)) {
            guard event.timestamp >= selection.from!, event.timestamp < selection.to!,
                selection.types.isEmpty || selection.types.contains(where: { $0.equalsUTF8(event.type) }),
                selection.sources.isEmpty || selection.sources.contains(where: { $0.equalsUTF8(event.source) })
            else { continue }
            let key = query.dimension == nil ? .null : GroupKey(query.dimension == .type ? event.type : event.source)
            rows[key, default: query.starts.map { _ in 0 }][query.starts.lastIndex { $0 <= event.timestamp }!] += 1
        }
        func series(_ key: GroupKey?, _ values: [Int64]) -> Timeseries.Series {
            .init(key: key, values: values.map { .integer($0) }, total: .integer(values.reduce(0, +)))
        }
        func sum(_ rows: some Sequence<[Int64]>) -> [Int64] {
            rows.reduce(query.starts.map { _ in 0 }) { sums, row in zip(sums, row).map { $0 + $1 } }
        }
        let total = MetricValue.integer(sum(rows.values).reduce(0, +))
        guard query.dimension != nil else { return Timeseries(series: [series(nil, sum(rows.values))], other: nil, total: total) }
        let sorted = rows.sorted { a, b in
            let (first, second) = (a.value.reduce(0, +), b.value.reduce(0, +))
            return first != second ? first > second : a.key < b.key
        }
        let named = sorted.prefix(query.limit).map { series($0.key, $0.value) }
        let rest = sorted.dropFirst(query.limit).map { $0.value }
        return Timeseries(series: named, other: rest.isEmpty ? nil : series(nil, sum(rest)), total: total)
    }

    private func query(_ random: inout Seeded, _ events: [Event]) throws -> TimeseriesQuery {
        let moments = (0..<2).map { _ in events[random.below(events.count)].timestamp + .milliseconds(random.below(7_200_001) - 3_600_000) }
            .sorted()
        let range = moments[0]..<moments[1] + .milliseconds(1)
        var selection = Selection(
            project: Project.default, includesBots: random.chance(50), from: range.lowerBound, to: range.upperBound)
        if random.chance(30) { selection.types = ["e\u{301}", "t1", "unknown"] }
        if random.chance(30) { selection.sources = ["s0", "s2"] }
        let zone = try #require(ZoneName(["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "UTC"].randomElement(using: &random)!))
        let rules = try #require(ZoneDatabase.system.rules(of: zone))
        let interval = CalendarInterval.allCases.filter { $0 != .minute || range.upperBound - range.lowerBound < .seconds(86_400) }
            .randomElement(using: &random)!
        let starts = try #require(BucketCalendar(interval: interval, rules: rules).starts(in: range, limit: QuestionRange.maximumBuckets))
        return TimeseriesQuery(
            selection, by: [nil, .type, .source].randomElement(using: &random)!, limit: 1 + random.below(5), starts: starts)
    }

    @Test(arguments: 0..<25 as Range<UInt64>)
    func seriesAreThoseOfTheEventsInEveryState(seed: UInt64) async throws {
        var random = Seeded(seed)
        let length = random.chance(50) ? 14_400_000 : 20 * 86_400_000
        let base = Timestamp(rfc3339: "2026-03-20T11:11:11Z")!
        let types = ["é", "e\u{301}", "t1", "t2", "other", "all"]
        let events = (0..<300).map { index in
            sample(
                "e\(index)", type: types.randomElement(using: &random)!, source: "s\(random.below(4))",
                at: base + .milliseconds(random.below(length)), project: random.chance(10) ? "another" : Project.default)
        }
        let share = [0, 20, 100].randomElement(using: &random)!
        let bots = Set(events.filter { _ in random.chance(share) }.map(\.id))
        try await write(events, to: store, bots: bots)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        for state in ["unrolled", "rolled", "spoiled"] {
            if state == "rolled" { try await roller(store).finish() }
            if state == "spoiled" { store.spoil(&random) }
            for _ in 0..<10 {
                let query = try query(&random, events)
                let expected = brute(query, events, bots: bots)
                let first = try await engine.timeseries(query)
                let second = try await engine.timeseries(query)
                #expect(first.answer == expected, "seed \(seed), \(state)")
                #expect(second.answer == expected && second.cached, "seed \(seed), \(state)")
            }
        }
    }

    /// What is kept of a day is of one version of it.
    @Test(arguments: 0..<10 as Range<UInt64>)
    func daysThatHaveChangedAreReadAgain(seed: UInt64) async throws {
        var random = Seeded(seed)
        let base = Timestamp(rfc3339: "2026-03-26T20:00:00Z")!
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        var events: [Event] = []
        for round in 0..<6 {
            let new = (0..<1 + random.below(20)).map { index in
                sample(
                    "\(round).\(index)", type: ["é", "e\u{301}", "t1"].randomElement(using: &random)!, source: "s\(random.below(3))",
                    at: base + .milliseconds(random.below(6 * 86_400_000)))
            }
            events += new
            try await write(new, to: store)
            if random.chance(50) { try await roller(store).finish() }
            for _ in 0..<6 {
                let query = try query(&random, events)
                #expect(try await engine.timeseries(query).answer == brute(query, events, bots: []), "seed \(seed), round \(round)")
            }
        }
    }

    @Test func whatDaysAreKeptIsBoundedInBytes() async {
        let kept = DayTallies()
        let query = TimeseriesQuery(Selection(project: Project.default), by: .type, starts: [noon])
        func tally(_ groups: Int, _ day: Int64) -> TimeseriesTally {
            var tally = TimeseriesTally(query).ofDay(day)
            for group in 0..<groups {
                _ = tally.add(EventCount(minute: day * 1_440, type: "t\(group)", source: "s", count: 1), from: Timestamp(day: day))
            }
            return tally
        }
        #expect(!DayTallies.mayKeep(tally(5_000, 0), days: 1))
        #expect(DayTallies.mayKeep(tally(100, 0), days: 30) && !DayTallies.mayKeep(tally(100, 0), days: 300))
        await kept.keep(tally(1, 0), "q", day: 0, version: 1)
        #expect(await kept.find("q", day: 0, version: 1) != nil)
        #expect(await kept.find("q", day: 0, version: 2) == nil)
        #expect(await kept.find("r", day: 0, version: 1) == nil)
        for day in 1...200 as ClosedRange<Int64> { await kept.keep(tally(300, day), "q", day: day, version: day) }
        var found = 0
        for day in 1...200 as ClosedRange<Int64> { if await kept.find("q", day: day, version: day) != nil { found += 1 } }
        #expect(found > 30 && found * tally(300, 1).size <= DayTallies.byteLimit)
    }

    @Test func aCachedAnswerOfAnotherShapeIsComputedAgain() async throws {
        func one(_ values: [Int64]) -> Timeseries.Series {
            .init(key: nil, values: values.map { .integer($0) }, total: .integer(values.reduce(0, +)))
        }
        try await write([sample("a", at: noon)], to: store)
        let cache = UnboundedCache()
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        let query = TimeseriesQuery(
            Selection(project: Project.default, from: noon, to: noon + .seconds(7_200)), starts: [noon, noon + .seconds(3_600)])
        let expected = Timeseries(series: [one([1, 0])], other: nil, total: .integer(1))
        #expect(try await engine.timeseries(query).answer == expected)
        let good = TimeseriesCodec.encode(expected)
        let shapes: [Timeseries] = [
            Timeseries(series: [one([1])], other: nil, total: .integer(1)),
            Timeseries(series: Array(repeating: one([1, 0]), count: 11), other: nil, total: .integer(11)),
        ]
        for bytes in shapes.map(TimeseriesCodec.encode) + [[], [1], [2], Array(good.dropLast()), good + [0]] {
            cache.corrupt(bytes)
            let (answer, cached) = try await engine.timeseries(query)
            #expect(answer == expected && !cached, "\(bytes)")
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func whatTheCacheKeepsIsReadAgain(seed: UInt64) throws {
        var random = Seeded(seed)
        let buckets = random.below(70)
        func value() -> MetricValue {
            [.none, .double(Double(random.below(1_000)) / 7), .integer(Int64(random.below(1 << 40)))].randomElement(using: &random)!
        }
        func series(_ key: GroupKey?) -> Timeseries.Series { .init(key: key, values: (0..<buckets).map { _ in value() }, total: value()) }
        let answer = Timeseries(
            series: (0..<1 + random.below(4)).map { series(GroupKey("\u{FEFF}é\($0)\0")) }, other: random.chance(50) ? series(nil) : nil,
            total: value())
        let bytes = TimeseriesCodec.encode(answer)
        #expect(try TimeseriesCodec.decode(bytes) == answer)
        for length in 0..<bytes.count where random.chance(20) {
            #expect(throws: AnswerFault.self) { try TimeseriesCodec.decode(Array(bytes.prefix(length))) }
        }
    }

    @Test func moreGroupsThanCanBeHeldAreTooMany() throws {
        let starts = (0..<640).map { noon + .seconds($0 * 60) }
        let query = TimeseriesQuery(
            Selection(project: Project.default, from: noon, to: noon + .seconds(38_400)), by: .type, starts: starts)
        var tally = TimeseriesTally(query)
        var added = 0
        while tally.add(EventCount(minute: noon.minute, type: "t\(added)", source: "s", count: 1), from: noon), added < 1_000_000 {
            added += 1
        }
        #expect(throws: QueryTooLargeError.self) { try tally.check() }
        #expect(added > 20_000)
    }
}
