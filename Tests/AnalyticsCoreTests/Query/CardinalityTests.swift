import TestSupport
import Testing

@testable import AnalyticsCore

/// Counts are exact however many types and sources there are: rolled or not, cached or not.
@Suite(.timeLimit(.minutes(5)))
struct CardinalityTests {
    private let store = MemoryStore()
    private var engine: QueryEngine { QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()) }

    private func total(_ query: CountQuery) async throws -> Int64 {
        try await engine.counts(query).counts.total
    }

    @Test func aMinuteOf1500TypesIsCountedByEachOfThem() async throws {
        try await write((0..<1_500).map { sample("e\($0)", type: "t\($0)", source: "s", at: noon + .milliseconds($0)) }, to: store)
        for _ in 0..<2 {
            #expect(try await total(CountQuery(project: Project.default, types: ["t999"])) == 1)
            #expect(try await total(CountQuery(project: Project.default, sources: ["s"])) == 1_500)
            #expect(try await total(CountQuery(project: Project.default, from: noon, to: noon + .seconds(60), grouping: .source)) == 1_500)
            try await roller(store).finish()
        }
    }

    /// 1,000 pairs fit into a minute, and 1,200 into the hour.
    @Test func anHourOfMoreGroupsThanOneOfItsMinutesIsCountedTheSameBeforeAndAfterItsRoll() async throws {
        var events: [Event] = []
        for type in 0..<20 {
            for host in 0..<60 {
                let time = noon + .seconds(host.isMultiple(of: 2) ? 0 : 1_800)
                events.append(sample("\(type)-\(host)", type: "type\(type)", source: "host\(host)", at: time))
            }
        }
        try await write(events, to: store)
        let engine = engine
        for _ in 0..<3 {
            for query in [
                CountQuery(project: Project.default, types: ["type19"], from: noon, to: noon + .seconds(3_600)),
                CountQuery(project: Project.default, types: ["type19"]), CountQuery(project: Project.default, types: ["type19"], limit: 1),
            ] {
                #expect(try await engine.counts(query).counts.total == 60)
            }
            try await roller(store).finish()
        }
    }

    @Test func aTypeThatIsCalledOtherIsOneLikeAnother() async throws {
        let types = (0..<1_200).map { "t\($0)" } + ["__other__", "other", "__other__"]
        try await write(types.enumerated().map { sample("e\($0)", type: $1, source: "__other__") }, to: store)
        for _ in 0..<2 {
            #expect(try await total(CountQuery(project: Project.default, types: ["__other__"])) == 2)
            let counts = try await engine.counts(CountQuery(project: Project.default, limit: 1)).counts
            #expect(counts.groups.map(\.name) == ["__other__"] && counts.other == 1_201)
            try await roller(store).finish()
        }
    }

    /// A bucket whose table would be too large is an overflow; what it holds is counted from what is finer.
    @Test func bucketsThatOutgrowTheirTablesAreCountedFromWhatIsFiner() async throws {
        let long = String(repeating: "x", count: 250)
        // One minute that outgrows a table by itself, and an hour that does.
        let one = (0..<16_000).map { sample("m\($0)", type: "\($0)\(long)", source: "\($0)\(long)", at: noon) }
        let many = (0..<32_000).map { sample("h\($0)", type: "\($0)\(long)", source: "s", at: noon + .seconds(3_600 + $0 % 2 * 60)) }
        try await write(one + many, to: store)
        try await roller(store).finish()
        #expect(store.buckets(.minute).map { $0.table == .overflow } == [true, false, false])
        #expect(store.buckets(.hour).map { $0.table == .overflow } == [true, true])
        #expect(store.buckets(.minute).allSatisfy { !$0.dirty } && store.buckets(.hour).allSatisfy { !$0.dirty })
        for query in [
            CountQuery(project: Project.default, types: ["7\(long)"]), CountQuery(project: Project.default, sources: ["7\(long)", "s"]),
            CountQuery(project: Project.default, limit: 3),
        ] {
            #expect(try await engine.counts(query).counts == brute(query, one + many))
        }
        #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
        // Its events gone, nothing tells the minute's groups any more.
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(60))
        await #expect(throws: QueryTooLargeError(.uncounted(minute: noon))) {
            try await engine.counts(CountQuery(project: Project.default))
        }
        #expect(try await total(CountQuery(project: Project.default, from: noon + .seconds(60))) == 32_000)
    }

    // MARK: Rolled = unrolled = cached = counted one by one

    @Test(arguments: 0..<6 as Range<UInt64>)
    func countsAreThoseOfTheEventsInEveryState(seed: UInt64) async throws {
        var random = Seeded(seed)
        var world = World(&random)
        let engine = engine
        for round in 0..<4 {
            let fresh = (0..<(round == 0 ? 6_000 : 400)).map { _ in world.event(&random) }
            // Doubled: the same ones again, and some of before.
            let again = fresh.prefix(50) + world.events.shuffled(using: &random).prefix(50)
            world.events += fresh
            try await write(fresh, to: store)
            try await write(Array(again), to: store)
            for state in 0..<3 {
                for _ in 0..<4 {
                    let query = world.query(&random)
                    let expected = brute(query, world.events)
                    let first = try await engine.counts(query)
                    let second = try await engine.counts(query)
                    #expect(first.counts == expected, "seed \(seed), round \(round), state \(state), \(query)")
                    #expect(second.counts == expected && (second.cached || expected.total == 0))
                }
                // Unrolled, then some minutes, then all.
                if state == 0 { try await world.rollSomeMinutes(store, &random) } else { try await roller(store).finish() }
            }
        }
        #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
        #expect(world.pairs > 5_000)
    }
}

func brute(_ query: CountQuery, _ events: [Event]) -> Counts {
    let (types, sources) = (Set(query.types.map(BytewiseString.init)), Set(query.sources.map(BytewiseString.init)))
    var counts: [BytewiseString: Int64] = [:]
    for event in events where event.project == query.project {
        let (type, source) = (BytewiseString(event.type), BytewiseString(event.source))
        guard query.from.map({ event.timestamp >= $0 }) ?? true, query.to.map({ event.timestamp < $0 }) ?? true,
            types.isEmpty || types.contains(type), sources.isEmpty || sources.contains(source)
        else { continue }
        counts[query.grouping == .type ? type : source, default: 0] += 1
    }
    let ordered = counts.sorted {
        $0.value != $1.value ? $0.value > $1.value : $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8)
    }
    return Counts(exact: ordered.map { ($0.key, $0.value) }, limit: query.limit) ?? .none
}

/// Events of some 5,000 pairs of type and source in three hours, and questions about them.
private struct World {
    private static let letters = ["a", "\u{E9}", "e\u{301}", "\u{212B}", "\u{C5}", "A\u{30A}", "😀", "\u{301}", "$x.y", "__other__"]
    var events: [Event] = []
    let base: Int64
    private var number = 0

    init(_ random: inout Seeded) {
        // Around 1970 or noon.
        base = random.chance(50) ? -5_400_000 : noon.milliseconds
    }

    var pairs: Int { Set(events.map { [BytewiseString($0.type), BytewiseString($0.source)] }).count }

    private func type(_ random: inout Seeded) -> String { Self.letters[random.below(10)] + "\(random.below(100))" }
    private func source(_ random: inout Seeded) -> String { Self.letters[random.below(10)] }

    func moment(_ random: inout Seeded) -> Timestamp {
        let fine = Int64(random.below(3 * 3_600_000))
        return Timestamp(milliseconds: base + (random.chance(50) ? fine / 60_000 * 60_000 : fine))
    }

    mutating func event(_ random: inout Seeded) -> Event {
        number += 1
        // Half of them in one minute.
        let time = random.chance(50) ? Timestamp(milliseconds: base + 3_600_000 + Int64(random.below(60_000))) : moment(&random)
        return sample("e\(number)", type: type(&random), source: source(&random), at: time)
    }

    func query(_ random: inout Seeded) -> CountQuery {
        var query = CountQuery(project: Project.default, grouping: random.chance(50) ? .type : .source)
        if random.chance(40) { query.types = (0...random.below(4)).map { _ in type(&random) } }
        if random.chance(40) { query.sources = (0...random.below(3)).map { _ in source(&random) } }
        if random.chance(60) { query.from = moment(&random) }
        if random.chance(60) { query.to = moment(&random) }
        query.limit = random.chance(50) ? 1 + random.below(12) : 1 + random.below(10_000)
        return query
    }

    func rollSomeMinutes(_ store: MemoryStore, _ random: inout Seeded) async throws {
        for bucket in store.buckets(.minute) where bucket.dirty && random.chance(50) {
            let minute = bucket.key.index
            let table = try await store.countMinutes(of: bucket.key.project, in: [minute..<minute + 1]).tables[minute] ?? .empty
            _ = try await store.roll(.minute, [RolledBucket(key: bucket.key, version: bucket.version, table: table)])
        }
    }
}
