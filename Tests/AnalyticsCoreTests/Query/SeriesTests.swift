import TestSupport
import Testing

@testable import AnalyticsCore

/// A second question on the engine: rolled = unrolled = cached = counted one by one.
@Suite(.timeLimit(.minutes(5)))
struct SeriesTests {
    private static let day: Int64 = 86_400_000
    private static let hour: Int64 = 3_600_000

    private let store = MemoryStore()
    private var engine: QueryEngine { QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()) }

    private func brute(_ series: Series, _ events: [Event], bots: Set<String> = []) -> [Int64: Int64] {
        let selection = series.selection
        return events.reduce(into: [:]) { sums, event in
            guard event.project == selection.project, selection.from.map({ event.timestamp >= $0 }) ?? true,
                selection.to.map({ event.timestamp < $0 }) ?? true,
                selection.types.isEmpty || selection.types.contains(event.type), selection.includesBots || !bots.contains(event.id),
                selection.sources.isEmpty || selection.sources.contains(event.source)
            else { return }
            sums[series.index(of: event.timestamp), default: 0] += 1
        }
    }

    private func expect(
        _ series: Series, _ events: [Event], bots: Set<String> = [], _ engine: QueryEngine, _ state: String
    ) async throws {
        let expected = brute(series, events, bots: bots)
        let first = try await engine.answer(to: series)
        let second = try await engine.answer(to: series)
        #expect(first.answer == expected, "\(state), \(series)")
        #expect(second.answer == expected && (second.cached || expected.isEmpty), "\(state), \(series)")
    }

    @Test(arguments: 0..<25 as Range<UInt64>)
    func aSeriesIsThatOfTheEventsInEveryState(seed: UInt64) async throws {
        var random = Seeded(seed)
        let base: Int64 = random.chance(50) ? -5_400_000 : noon.milliseconds
        // Some hours, or some days.
        let length = random.chance(50) ? 4 * Self.hour : 9 * Self.day
        func moment(_ random: inout Seeded) -> Timestamp {
            let fine = Int64(random.below(Int(length)))
            return Timestamp(milliseconds: base + [fine, fine / 60_000 * 60_000, fine / 900_000 * 900_000][random.below(3)])
        }
        let events = (0..<300).map { index in
            sample(
                "e\(index)", type: "t\(random.below(3))", source: "s\(random.below(3))", at: moment(&random),
                project: random.chance(10) ? "another" : Project.default)
        }
        func series(_ random: inout Seeded) -> Series {
            var selection = Selection(project: Project.default, includesBots: random.chance(50))
            if random.chance(30) { selection.types = ["t1", "unknown"] }
            if random.chance(30) { selection.sources = ["s0", "s2"] }
            if random.chance(60) { selection.from = moment(&random) }
            if random.chance(60) { selection.to = moment(&random) }
            let intervals: [Int64] =
                length > Self.day ? [Self.hour, Self.day, 3 * Self.day, 5 * Self.hour + 7 * 60_000] : [90_000, 900_000, Self.hour]
            let offsets: [Int64] = [0, Self.hour, -3 * Self.hour - 1_800_000, 5 * Self.hour + 2_700_000, 20_632_321]
            return Series(
                selection: selection, interval: intervals.randomElement(using: &random)!, offset: offsets.randomElement(using: &random)!)
        }
        let share = [0, 20, 100].randomElement(using: &random)!
        let bots = Set(events.filter { _ in random.chance(share) }.map(\.id))
        try await write(events, to: store, bots: bots)
        let engine = engine
        for state in ["unrolled", "partly rolled", "rolled", "spoiled"] {
            switch state {
            case "partly rolled":
                for bucket in store.buckets(.minute) where bucket.dirty && random.chance(50) {
                    let minute = bucket.key.index
                    let table = try await store.countMinutes(of: bucket.key.project, in: [minute..<minute + 1]).tables[minute] ?? .empty
                    _ = try await store.roll(.minute, [RolledBucket(key: bucket.key, version: bucket.version, table: table)])
                }
            case "rolled": try await roller(store).finish()
            case "spoiled": store.spoil(&random)
            default: break
            }
            for _ in 0..<8 { try await expect(series(&random), events, bots: bots, engine, "seed \(seed), \(state)") }
        }
    }

    /// Planted nonsense tells what is read.
    @Test func aDayIsReadFromItsHoursOnlyWhereABoundaryLiesInIt() async throws {
        let start = Timestamp(day: noon.day)
        let events = (0..<28 * 24).map { sample("e\($0)", at: start + .seconds($0 * 3_600 + 1_200)) }
        try await write(events, to: store)
        try await roller(store).finish()
        // Weeks that begin at 18:15 of a UTC day, as in a zone of +05:45.
        let series = Series(
            selection: Selection(project: Project.default, from: start, to: start + .seconds(28 * 86_400)), interval: 7 * Self.day,
            offset: 18 * Self.hour + 900_000)
        let isCut = Dictionary(
            uniqueKeysWithValues: (start.day..<start.day + 28).map { day in
                (day, series.index(of: Timestamp(day: day)) != series.index(of: Timestamp(day: day + 1) - .milliseconds(1)))
            })
        #expect(isCut.values.count { $0 } == 4)
        let nonsense = GroupTable([RollupGroup(type: "t", source: "s", count: 4_000, quarters: [1_000, 1_000, 1_000, 1_000])])
        for day in store.buckets(.day) where isCut[day.key.index] == true { store.edit(.day, day.key) { $0.table = nonsense } }
        for hour in store.buckets(.hour) where isCut[hour.key.dayOfHour.index] == false {
            store.edit(.hour, hour.key) { $0.table = nonsense }
        }
        for minute in store.buckets(.minute) { store.edit(.minute, minute.key) { $0.table = nonsense } }
        let before = store.queries
        #expect(try await engine.answer(to: series).answer == brute(series, events))
        #expect(store.queries - before < 6)
    }

    @Test func anHourWithoutQuartersIsReadFromItsMinutesWhereQuartersAreAskedFor() async throws {
        let events = (0..<60).map { sample("e\($0)", at: noon + .seconds($0 * 60)) }
        try await write(events, to: store)
        try await roller(store).finish()
        store.edit(.hour, BucketKey(project: Project.default, index: noon.hour)) {
            $0.groups = [RollupGroup(type: "view", source: "web", count: 60)]
        }
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(3_600))
        try await expect(Series(selection: selection, interval: 900_000, offset: 0), events, engine, "quarters")
        try await expect(Series(selection: selection, interval: Self.hour, offset: 0), events, engine, "hours")
    }

    @Test func belowTheWatermarkASeriesIsThatOfTheRollups() async throws {
        let events = (0..<600).map { sample("e\($0)", at: noon + .seconds($0 * 60 + 7)) }
        let bots = Set((0..<600).filter { $0.isMultiple(of: 7) }.map { "e\($0)" })
        try await write(events, to: store, bots: bots)
        try await roller(store).finish()
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(5 * 3_600))
        while try await store.deleteExpiredEvents(of: Project.default, limit: 1_000) > 0 {}
        let engine = engine
        var selection = Selection(project: Project.default)
        for includesBots in [false, true] {
            selection.includesBots = includesBots
            for interval in [900_000, Self.hour, 7 * 60_000] as [Int64] {
                let series = Series(selection: selection, interval: interval, offset: 2_700_000)
                try await expect(series, events, bots: bots, engine, "expired")
            }
        }
        await #expect(throws: ExpiredRangeError.self) {
            try await engine.answer(to: Series(selection: selection, interval: Self.hour, offset: 3_000))
        }
    }
}
