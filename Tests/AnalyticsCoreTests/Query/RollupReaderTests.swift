import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct RollupReaderTests {
    private let store = MemoryStore()
    private var engine: QueryEngine { QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()) }

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
        store.spoil(&random)

        for _ in 0..<40 {
            var query = CountQuery(project: Project.default, grouping: random.chance(50) ? .type : .source)
            if random.chance(30) { query.types = random.chance(50) ? ["t0"] : ["t1", "t3", "unknown"] }
            if random.chance(30) { query.sources = ["s\(random.below(3))"] }
            if random.chance(80) { query.from = moment(&random) }
            if random.chance(80) { query.to = moment(&random) }
            let (counts, _) = try await engine.counts(query)
            #expect(counts == brute(query, events), "seed \(seed), \(query)")
        }
    }

    @Test func anEmptyOrInvertedRangeCountsNothing() async throws {
        try await write([sample("a")], to: store)
        #expect(try await engine.counts(CountQuery(project: Project.default, from: noon, to: noon)).counts.total == 0)
        #expect(try await engine.counts(CountQuery(project: Project.default, from: noon + .seconds(1), to: noon)).counts.total == 0)
        #expect(try await engine.counts(CountQuery(project: Project.default, from: noon + .seconds(9_999))).counts.total == 0)
        #expect(try await engine.counts(CountQuery(project: "nobody")).counts == Counts([:]))
    }

    @Test func aHotMinuteIsCountedFromItsEventsOnceAVersion() async throws {
        try await write([sample("a")], to: store)
        let engine = engine
        let query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(60))
        for types in [[], ["view"], ["view", "buy"]] {
            var query = query
            query.types = types
            #expect(try await engine.counts(query).counts.total == 1)
        }
        #expect(store.countedRanges.count == 1)
        try await write([sample("b")], to: store)
        #expect(try await engine.counts(query).counts.total == 2)
        #expect(store.countedRanges.count == 2)
    }

    @Test func manyWhoAskForAHotMinuteAtOnceShareOneCount() async throws {
        try await write([sample("a")], to: store)
        let engine = engine
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
                    return try await engine.counts(query).counts.total
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(totals == Array(repeating: 1, count: 10))
        #expect(store.countedRanges.count == 1)
    }

    @Test func onlyDaysThatHaveChangedAreReadAgain() async throws {
        let day = Duration.seconds(86_400)
        try await write((0..<10).map { sample("e\($0)", at: noon - day * $0) }, to: store)
        try await roller(store).finish()
        let engine = engine
        let read = Counting()
        store.beforeRead { if $0 == "rollups day" { _ = read.next() } }
        let first = Timestamp(day: noon.day - 20)
        /// Each time of another range, whose whole days are the same.
        func total(_ hour: Int) async throws -> Int64 {
            try await engine.counts(CountQuery(project: Project.default, from: first - .seconds(hour * 3_600), to: noon + day)).counts.total
        }
        #expect(try await total(1) == 10)
        let before = read.value
        #expect(before > 0)
        #expect(try await total(2) == 10 && read.value == before)
        try await write([sample("late", at: noon - day * 5)], to: store)
        #expect(try await total(3) == 11 && read.value > before, "marked")
        try await roller(store).finish()
        #expect(try await total(4) == 11, "rolled")
        let after = read.value
        #expect(try await total(5) == 11 && read.value == after)
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func keptDaysGiveTheAnswersOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let engine = engine
        var events: [Event] = []
        for round in 0..<12 {
            let more = (0..<20).map { index in
                let at = noon - .seconds(random.below(random.chance(70) ? 40 : 400) * 86_400 + random.below(86_400))
                let project = random.chance(10) ? "another" : Project.default
                return sample("e\(round) \(index)", type: "t\(random.below(4))", source: "s\(random.below(3))", at: at, project: project)
            }
            events += more
            try await write(more, to: store)
            if random.chance(60) { try await roller(store).finish() }
            if random.chance(20) { store.spoil(&random) }
            for _ in 0..<6 {
                var query = CountQuery(project: Project.default, grouping: random.chance(50) ? .type : .source)
                if random.chance(50) { query.types = ["t1", "unknown"] }
                query.from = noon - .seconds(random.below(450) * 86_400 + random.below(86_400))
                query.to = noon + .seconds(random.below(86_400))
                #expect(try await engine.counts(query).counts == brute(query, events), "seed \(seed), \(query)")
            }
        }
    }

    @Test func aRangeOfTenThousandYearsCostsNoMoreThanWhatIsInIt() async throws {
        try await write([sample("a"), sample("b", at: noon - .seconds(86_400))], to: store)
        let before = store.queries
        let (counts, _) = try await engine.counts(CountQuery(project: Project.default, from: .earliest, to: .latest))
        #expect(counts.total == 2)
        #expect(store.queries - before < 20)
    }

    @Test func oneEventOfTheYearOneDoesNotMakeEveryCountSlow() async throws {
        try await write([sample("a"), sample("b", at: .earliest)], to: store)
        let before = store.queries
        #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == 2)
        #expect(store.queries - before < 2_000)
    }

    @Test func manyMarkedMinutesAreCountedInRangesOfBoundedLength() async throws {
        let events = (0..<12_000).map { sample("e\($0)", at: noon + .seconds($0 * 60)) }
        try await write(events, to: store)
        #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == 12_000)
        let longest = store.countedRanges.map { ($0.upperBound - $0.lowerBound).milliseconds / 60_000 }.max() ?? 0
        #expect(longest <= 5_000)
    }

    // MARK: What rollups do not tell

    private func of(_ user: String?, _ correlation: String?, anonymous: String? = nil, _ event: Event) -> Event {
        var event = event
        (event.userId, event.anonymousId, event.correlationId) = (user, anonymous, correlation)
        return event
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func aSelectionOfUsersOrCorrelationsIsCountedFromTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        func moment(_ random: inout Seeded) -> Timestamp { noon + .milliseconds(random.below(3 * 86_400_000)) }
        let events = (0..<400).map { index in
            of(
                random.chance(80) ? "u\(random.below(5))" : nil, random.chance(50) ? "c\(random.below(3))" : nil,
                anonymous: random.chance(50) ? "u\(random.below(5))" : nil,
                sample("e\(index)", type: "t\(random.below(3))", at: moment(&random)))
        }
        try await write(events, to: store)
        if random.chance(50) { try await roller(store).finish() }
        let engine = engine
        for _ in 0..<20 {
            var query = CountQuery(project: Project.default)
            if random.chance(70) { query.userIds = ["u1", "u\(random.below(5))"] }
            if random.chance(40) { query.anonymousIds = ["u2", "u\(random.below(5))"] }
            if (query.userIds.isEmpty && query.anonymousIds.isEmpty) || random.chance(30) { query.correlationIds = ["c0"] }
            if random.chance(30) { query.types = ["t0", "t1"] }
            if random.chance(60) { query.from = moment(&random) }
            if random.chance(60) { query.to = moment(&random) }
            let selected = events.filter { event in
                (query.userIds.isEmpty || event.userId.map(query.userIds.contains) ?? false)
                    && (query.anonymousIds.isEmpty || event.anonymousId.map(query.anonymousIds.contains) ?? false)
                    && (query.correlationIds.isEmpty || event.correlationId.map(query.correlationIds.contains) ?? false)
            }
            let (counts, _) = try await engine.counts(query)
            #expect(counts == brute(query, selected), "seed \(seed), \(query)")
        }
    }

    @Test func aSelectionOfUsersCostsNoMoreForAnEventOfTheYearOne() async throws {
        try await write([of("u", nil, sample("a")), of("u", nil, sample("b", at: .earliest))], to: store)
        let before = store.queries
        var query = CountQuery(project: Project.default)
        query.userIds = ["u"]
        #expect(try await engine.counts(query).counts.total == 2)
        #expect(store.queries - before < 200)
    }

    @Test func aSelectionOfUsersIsRefusedWhereEventsMayBeDeleted() async throws {
        try await expire()
        var query = CountQuery(project: Project.default)
        query.userIds = ["u"]
        let error = await #expect(throws: ExpiredRangeError.self) { try await engine.counts(query) }
        #expect(error?.watermark == noon + .seconds(120))
        query.from = noon + .seconds(120)
        try await write([of("u", nil, sample("new", at: noon + .seconds(125)))], to: store)
        #expect(try await engine.counts(query).counts.total == 1)
    }

    @Test func eventsOfUsersThatAreDeletedDuringACountAreNotLeftOut() async throws {
        try await write((0..<3).map { of("u", nil, sample("e\($0)", at: noon + .seconds(60 * $0))) }, to: store)
        try await roller(store).finish()
        let (store, once) = (store, Once())
        store.beforeRead { name in
            guard name == "countEvents", once.claim() else { return }
            try? await store.raiseWatermark(of: Project.default, to: noon + .seconds(86_400))
            while let count = try? await store.deleteExpiredEvents(of: Project.default, limit: 7), count > 0 {}
        }
        var query = CountQuery(project: Project.default)
        query.userIds = ["u"]
        await #expect(throws: ExpiredRangeError.self) { try await engine.counts(query) }
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
            #expect(try await engine.counts(query).counts == Counts(["view": 2, "buy": 1]))
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
        #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == 20)
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
        #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == Int64(minutes))
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
                try await engine.counts(CountQuery(project: Project.default, from: from, to: to))
            }
            #expect(error?.watermark == noon + .seconds(120))
        }
        // Whole minutes, minutes in which nothing was, and what lies above.
        #expect(try await engine.counts(CountQuery(project: Project.default, from: noon, to: noon + .seconds(60))).counts.total == 2)
        #expect(try await engine.counts(CountQuery(project: Project.default, from: noon - .milliseconds(1))).counts.total == 3)
        try await write([sample("new", at: noon + .seconds(125))], to: store)
        #expect(try await engine.counts(CountQuery(project: Project.default, from: noon + .seconds(124))).counts.total == 1)
        #expect(try await engine.counts(CountQuery(project: "another", from: noon + .seconds(1))).counts.total == 0)
    }

    @Test func bucketsBehindAPageAreReadTooHoweverShortItIs() async throws {
        let store = MemoryStore()
        let first = noon.day
        // Each takes more than a page holds.
        for day in first..<first + 3 {
            let groups = (0..<25).map { RollupGroup(type: String(repeating: "x", count: 200_000) + "\($0)", source: "s", count: 2) }
            let key = BucketKey(project: Project.default, index: day)
            store.plant(.day, Rollup(key: key, version: 1, done: 1, dirty: false, table: GroupTable(groups)))
        }
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let selection = Selection(project: Project.default, from: Timestamp(day: first), to: Timestamp(day: first + 3))
        #expect(try await engine.counts(CountQuery(selection, grouping: .source)).counts.total == 150)
    }
}
