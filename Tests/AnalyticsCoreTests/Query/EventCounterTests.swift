import Logging
import TestSupport
import Testing

@testable import AnalyticsCore

/// Inserts events and marks them, as a flush does.
func write(_ events: [Event], to store: MemoryStore) async throws {
    _ = try await store.insert(events.map(stored))
    var marks = BucketMarks()
    for event in events { marks.touch(BucketKey(project: event.project, index: event.timestamp.minute)) }
    try await marks.write(to: store)
}

func roller(_ store: MemoryStore) -> Roller {
    Roller(store: store, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
}

@Suite(.timeLimit(.minutes(5)))
struct EventCounterTests {
    private let store = MemoryStore()
    private var counter: EventCounter { EventCounter(store: store, cache: MemoryCache(), gate: QueryGate()) }

    @Test(arguments: 0..<25 as Range<UInt64>)
    func countsEqualTheEventsWhateverIsMarkedAndWhateverIsRolled(seed: UInt64) async throws {
        var random = Seeded(seed)
        // A few hours around 1970 or around noon: negative indexes are indexes.
        let base: Int64 = random.chance(50) ? 0 : noon.milliseconds
        func moment(_ random: inout Seeded) -> Timestamp {
            let fine = Int64(random.below(5 * 3_600_000)) - 9_000_000
            return Timestamp(milliseconds: base + (random.chance(30) ? fine / 60_000 * 60_000 : fine))
        }
        var events: [Event] = []
        for index in 0..<200 {
            let project = random.chance(10) ? "another" : Project.default
            events.append(
                sample("e\(index)", type: "t\(random.below(4))", source: "s\(random.below(3))", at: moment(&random), project: project))
        }
        try await write(events, to: store)
        try await roller(store).finish()
        spoil(&random)

        for _ in 0..<40 {
            var query = CountQuery(project: Project.default, grouping: random.chance(50) ? .type : .source)
            if random.chance(30) { query.types = random.chance(50) ? ["t0"] : ["t1", "t3", "unknown"] }
            if random.chance(30) { query.sources = ["s\(random.below(3))"] }
            if random.chance(80) { query.from = moment(&random) }
            if random.chance(80) { query.to = moment(&random) }
            let (counts, _) = try await counter.counts(query)
            #expect(counts == bruteForce(query, events), "seed \(seed), \(query)")
        }
    }

    /// Marks buckets at random, and puts nonsense into what is marked: nobody may read it.
    private func spoil(_ random: inout Seeded) {
        for tier in RollupTier.allCases {
            for bucket in store.buckets(tier) where random.chance(tier == .minute ? 30 : 50) {
                store.edit(tier, bucket.key) { rollup in
                    rollup.version += 1
                    rollup.dirty = true
                    rollup.groups = [RollupGroup(type: "t0", source: "s0", count: 1_000)]
                }
                // A marked minute's hour is marked, always; and a marked hour's day.
                let hour = tier == .minute ? bucket.key.hour : bucket.key
                if tier == .minute { store.edit(.hour, hour) { ($0.version, $0.dirty) = ($0.version + 1, true) } }
                if tier != .day { store.edit(.day, hour.dayOfHour) { ($0.version, $0.dirty) = ($0.version + 1, true) } }
            }
        }
    }

    private func bruteForce(_ query: CountQuery, _ events: [Event]) -> Counts {
        var counts: [String: Int64] = [:]
        for event in events where event.project == query.project {
            guard query.from.map({ event.timestamp >= $0 }) ?? true, query.to.map({ event.timestamp < $0 }) ?? true,
                query.types.isEmpty || query.types.contains(event.type), query.sources.isEmpty || query.sources.contains(event.source)
            else { continue }
            counts[query.grouping == .type ? event.type : event.source, default: 0] += 1
        }
        return Counts(counts)
    }

    @Test func anEmptyOrInvertedRangeCountsNothing() async throws {
        try await write([sample("a")], to: store)
        #expect(try await counter.counts(CountQuery(project: Project.default, from: noon, to: noon)).counts.total == 0)
        #expect(try await counter.counts(CountQuery(project: Project.default, from: noon + .seconds(1), to: noon)).counts.total == 0)
        #expect(try await counter.counts(CountQuery(project: Project.default, from: noon + .seconds(9_999))).counts.total == 0)
        #expect(try await counter.counts(CountQuery(project: "nobody")).counts == Counts([:]))
    }

    @Test func groupsComeLargestFirstAndTiesByName() {
        #expect(Counts(["b": 2, "a": 2, "c": 5, "B": 2]).groups.map(\.name) == ["c", "B", "a", "b"])
    }

    @Test func theLargestGroupsAreNamedAndTheOthersSummed() async throws {
        let events = (0..<1_500).flatMap { type in (0...(type == 7 ? 3 : 0)).map { (type, $0) } }.map { type, copy in
            sample("e\(type)-\(copy)", type: "t\(type)", at: noon + .milliseconds(type))
        }
        try await write(events, to: store)
        for _ in 0..<2 {
            let (counts, _) = try await counter.counts(CountQuery(project: Project.default))
            #expect(counts.total == 1_503 && counts.groups.count == 1_000 && counts.other == 500)
            let (two, _) = try await counter.counts(CountQuery(project: Project.default, limit: 2))
            #expect(two.groups.map(\.name) == ["t7", "t0"] && two.groups.map(\.count) == [4, 1] && two.other == 1_498)
            let (all, _) = try await counter.counts(CountQuery(project: Project.default, limit: 10_000))
            #expect(all.groups.count == 1_500 && all.other == 0)
            try await roller(store).finish()
        }
    }

    @Test func namesThatDifferInBytesOnlyAreDifferentNames() async throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        try await write([sample("1", type: composed), sample("2", type: decomposed), sample("3", type: decomposed)], to: store)
        for _ in 0..<2 {
            let all = try await counter.counts(CountQuery(project: Project.default)).counts
            #expect(all.groups.map { Array($0.name.utf8) } == [Array(decomposed.utf8), Array(composed.utf8)])
            #expect(all.groups.map(\.count) == [2, 1])
            let one = try await counter.counts(CountQuery(project: Project.default, types: [composed])).counts
            #expect(one.total == 1)
            // Once from marked minutes, once from the hour.
            try await roller(store).finish()
        }
    }

    @Test func aHotMinuteIsCountedFromItsEventsOnceAVersion() async throws {
        try await write([sample("a")], to: store)
        let counter = counter
        let query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(60))
        for types in [[], ["view"], ["view", "buy"]] {
            var query = query
            query.types = types
            #expect(try await counter.counts(query).counts.total == 1)
        }
        #expect(store.countedRanges.count == 1)
        try await write([sample("b")], to: store)
        #expect(try await counter.counts(query).counts.total == 2)
        #expect(store.countedRanges.count == 2)
    }

    @Test func manyWhoAskForAHotMinuteAtOnceShareOneCount() async throws {
        try await write([sample("a")], to: store)
        let counter = counter
        let readers = Counting()
        store.beforeRead { name in
            if name == "rollups minute" { _ = readers.next() }
            guard name == "countEvents" else { return }
            // Not before all have come; those who do not share would be counted below.
            for _ in 0..<100_000 where readers.value < 10 { await Task.yield() }
            for _ in 0..<1_000 { await Task.yield() }
        }
        let totals = try await withThrowingTaskGroup(of: Int64.self) { group in
            for reader in 0..<10 {
                group.addTask {
                    // Different questions, so that nothing but the minute is shared.
                    var query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(60))
                    query.types = ["view", "type \(reader)"]
                    return try await counter.counts(query).counts.total
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(totals == Array(repeating: 1, count: 10))
        #expect(store.countedRanges.count == 1)
    }

    @Test func aRangeOfTenThousandYearsCostsNoMoreThanWhatIsInIt() async throws {
        try await write([sample("a"), sample("b", at: noon - .seconds(86_400))], to: store)
        let before = store.queries
        let (counts, _) = try await counter.counts(CountQuery(project: Project.default, from: .earliest, to: .latest))
        #expect(counts.total == 2)
        #expect(store.queries - before < 20)
    }

    @Test func oneEventOfTheYearOneDoesNotMakeEveryCountSlow() async throws {
        try await write([sample("a"), sample("b", at: .earliest)], to: store)
        let before = store.queries
        #expect(try await counter.counts(CountQuery(project: Project.default)).counts.total == 2)
        #expect(store.queries - before < 2_000)
    }

    @Test func manyMarkedMinutesAreCountedInRangesOfBoundedLength() async throws {
        let events = (0..<12_000).map { sample("e\($0)", at: noon + .seconds($0 * 60)) }
        try await write(events, to: store)
        #expect(try await counter.counts(CountQuery(project: Project.default)).counts.total == 12_000)
        let longest = store.countedRanges.map { ($0.upperBound - $0.lowerBound).milliseconds / 60_000 }.max() ?? 0
        #expect(longest <= 5_000)
    }

    // MARK: Below the watermark

    /// Two events in one minute and one in the next, rolled; then the first is deleted and both minutes lie below the watermark.
    private func expire() async throws {
        try await write([sample("a"), sample("b", type: "buy", at: noon + .seconds(30)), sample("c", at: noon + .seconds(60))], to: store)
        try await roller(store).finish()
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(120))
        store.delete(id: "a")
    }

    @Test func aMarkedMinuteBelowTheWatermarkIsAnsweredFromItsRollup() async throws {
        try await expire()
        // A mark that came late, and events that are left: what they count to is too little.
        for minute in [noon.minute, noon.minute + 1] { try await store.mark(.minute, [BucketKey(project: Project.default, index: minute)]) }
        try await store.mark(.hour, [BucketKey(project: Project.default, index: noon.hour)])
        for range in [(noon, noon + .seconds(120)), (noon - .seconds(7_200), noon + .seconds(7_200))] {
            let query = CountQuery(project: Project.default, from: range.0, to: range.1)
            #expect(try await counter.counts(query).counts == Counts(["view": 2, "buy": 1]))
        }
    }

    /// Many marked minutes are counted in ranges, of which the watermark may cut one.
    @Test func theWatermarkMayCutARangeOfMarkedMinutes() async throws {
        try await write((0..<20).map { sample("e\($0)", at: noon + .seconds(60 * $0)) }, to: store)
        try await roller(store).finish()
        try await store.mark(.minute, (0..<20).map { BucketKey(project: Project.default, index: noon.minute + $0) })
        try await store.mark(.hour, [BucketKey(project: Project.default, index: noon.hour)])
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(600))
        for id in 0..<7 { store.delete(id: "e\(id)") }
        #expect(try await counter.counts(CountQuery(project: Project.default)).counts.total == 20)
    }

    /// The roller counts, the watermark rises and events are deleted, all while a count is under way.
    @Test(arguments: [1, 20])
    func eventsThatAreDeletedDuringACountAreCounted(minutes: Int) async throws {
        let events = (0..<minutes).map { sample("e\($0)", at: noon + .seconds(60 * $0)) }
        try await write(events, to: store)
        let (store, once) = (store, Once())
        store.beforeRead { name in
            guard name == "countEvents", once.claim() else { return }
            try? await roller(store).finish()
            try? await store.raiseWatermark(of: Project.default, to: noon + .seconds(86_400))
            while let count = try? await store.deleteExpiredEvents(of: Project.default, limit: 7), count > 0 {}
        }
        #expect(try await counter.counts(CountQuery(project: Project.default)).counts.total == Int64(minutes))
        #expect(store.events.isEmpty)
    }

    @Test func aRangeThatCutsAMinuteBelowTheWatermarkIsRefused() async throws {
        try await expire()
        let cuts: [(Timestamp?, Timestamp?)] = [
            (noon + .seconds(1), nil), (nil, noon + .milliseconds(1)), (noon + .seconds(30), noon + .seconds(40)),
            (noon, noon + .seconds(60) + .milliseconds(1)), (noon + .seconds(119), noon + .seconds(7_200)),
        ]
        for (from, to) in cuts {
            let error = await #expect(throws: ExpiredRangeError.self) {
                try await counter.counts(CountQuery(project: Project.default, from: from, to: to))
            }
            #expect(error?.watermark == noon + .seconds(120))
        }
        // Whole minutes, minutes in which nothing was, and what lies above.
        #expect(try await counter.counts(CountQuery(project: Project.default, from: noon, to: noon + .seconds(60))).counts.total == 2)
        #expect(try await counter.counts(CountQuery(project: Project.default, from: noon - .milliseconds(1))).counts.total == 3)
        try await write([sample("new", at: noon + .seconds(125))], to: store)
        #expect(try await counter.counts(CountQuery(project: Project.default, from: noon + .seconds(124))).counts.total == 1)
        #expect(try await counter.counts(CountQuery(project: "another", from: noon + .seconds(1))).counts.total == 0)
    }
}
