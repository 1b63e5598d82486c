import AnalyticsEmbedded
import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite("Store contract: counts at any number of types and sources", .timeLimit(.minutes(10)))
struct StoreContractCardinality {
    private static let letters = [
        "a", "\u{E9}", "e\u{301}", "\u{212B}", "\u{C5}", "A\u{30A}", "😀", "\u{301}", "$x.y", "__other__", "a\u{0}b",
    ]

    /// Flushes as the processor does, without counts that marks bring: all of it has to be rolled.
    private func write(_ events: [Event], to store: any Store) async throws {
        _ = try await store.insert(
            events.map { StoredEvent(event: $0, processedAt: $0.receivedAt, context: nil, fingerprint: $0.fingerprint) })
        var marks = BucketMarks()
        for event in events { marks.touch(BucketKey(project: event.project, index: event.timestamp.minute)) }
        try await marks.write(to: store)
    }

    private func event(_ number: Int, _ type: String, _ source: String, _ time: Timestamp) -> Event {
        Event(
            project: "p", id: "e\(number)", type: type, source: source, timestamp: time, data: JSONText(normalised: "{}"), receivedAt: noon,
            ingestID: "r-\(number):0")
    }

    private func expected(_ query: CountQuery, _ events: [Event]) -> Counts? {
        let (types, sources) = (Set(query.types.map(BytewiseString.init)), Set(query.sources.map(BytewiseString.init)))
        var counts: [BytewiseString: Int64] = [:]
        for event in events {
            let (type, source) = (BytewiseString(event.type), BytewiseString(event.source))
            guard query.from.map({ event.timestamp >= $0 }) ?? true, query.to.map({ event.timestamp < $0 }) ?? true,
                types.isEmpty || types.contains(type), sources.isEmpty || sources.contains(source)
            else { continue }
            counts[query.grouping == .type ? type : source, default: 0] += 1
        }
        return Counts(exact: counts.map { ($0, $1) }, limit: query.limit)
    }

    @Test("rolled = unrolled = cached = counted one by one", arguments: StoreBackend.available)
    func everyState(backend: StoreBackend) async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Seeded(seed)
        try await withStore(backend) { store async throws in
            let engine = QueryEngine(store: store, cache: MemoryCache(), gate: QueryGate())
            var events: [Event] = []
            func name(_ numbers: Int) -> String {
                Self.letters.randomElement(using: &random)! + (numbers > 1 ? String(Int.random(in: 0..<numbers, using: &random)) : "")
            }
            func moment() -> Timestamp {
                let fine = Int.random(in: 0..<3 * 3_600_000, using: &random)
                return noon + .milliseconds(Bool.random(using: &random) ? fine / 60_000 * 60_000 : fine)
            }
            for round in 0..<3 {
                let fresh = (0..<(round == 0 ? 2_500 : 300)).map { index in
                    // Half of them in one minute.
                    let time = Bool.random(using: &random) ? noon + .milliseconds(3_600_000 + index * 20) : moment()
                    return event(events.count + index, name(40), name(1), time)
                }
                // Some twice.
                try await write(fresh, to: store)
                try await write(Array(fresh.prefix(30) + events.suffix(30)), to: store)
                events += fresh
                for isRolled in [false, true] {
                    if isRolled { try await Roller(store: store, logger: quiet).finish() }
                    for _ in 0..<6 {
                        var query = CountQuery(project: "p", grouping: Bool.random(using: &random) ? .type : .source)
                        if Bool.random(using: &random) { query.types = (0..<3).map { _ in name(40) } }
                        if Bool.random(using: &random) { query.sources = (0..<2).map { _ in name(1) } }
                        if Bool.random(using: &random) { query.from = moment() }
                        if Bool.random(using: &random) { query.to = moment() }
                        query.limit = Int.random(in: 1...(Bool.random(using: &random) ? 10 : 10_000), using: &random)
                        for _ in 0..<2 {
                            let counts = try await engine.counts(query).counts
                            #expect(counts == expected(query, events), "seed \(seed), round \(round), rolled \(isRolled), \(query)")
                        }
                    }
                }
            }
            #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
        }
    }

    /// A tenth of what the next one has, from the events.
    @Test(
        "an hour of many types, and one of many pairs, is counted from its events and from its rollups", arguments: StoreBackend.available)
    func fromEvents(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let types = (0..<20_000).map { event($0, "type\($0 % 5_000)", "s", noon + .seconds($0 / 5_000 * 60)) }
            let pairs = (0..<30_000).map { event(20_000 + $0, "t\($0 % 300)", "host\($0 / 300)", noon + .seconds(3_600 + $0 % 60 * 60)) }
            for start in stride(from: 0, to: 50_000, by: 2_500) {
                try await write(Array((types + pairs)[start..<start + 2_500]), to: store)
            }
            for isRolled in [false, true] {
                if isRolled { try await Roller(store: store, logger: quiet).finish() }
                try await expectHours(store, types: 5_000, minutes: 4, hosts: 100, isRolled: isRolled)
            }
        }
    }

    @Test("an hour of 50,000 types, and one of 300,000 pairs, is summed and counted from its rollups", arguments: StoreBackend.available)
    func fromRollups(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let types = GroupTable((0..<50_000).map { RollupGroup(type: "type\($0)", source: "s", count: 1) })
            var marks = (0..<60).map { BucketMark(key: key(noon.minute + $0), table: types) }
            for minute in 0..<60 {
                let pairs = (0..<5_000).map {
                    RollupGroup(type: "t\($0 % 300)", source: "host\(minute * 5_000 / 300 + $0 / 300)", count: 1)
                }
                marks.append(BucketMark(key: key(noon.minute + 60 + Int64(minute)), table: GroupTable(pairs)))
            }
            try await store.mark(.minute, marks)
            try await store.mark(.hour, [key(noon.hour), key(noon.hour + 1)])
            try await Roller(store: store, logger: quiet).finish()
            let hours = try await store.rollups(.hour, project: "p", in: [noon.hour..<noon.hour + 2])
            #expect(hours.count == 2 && hours.allSatisfy { !$0.dirty && $0.table != .overflow })
            let engine = QueryEngine(store: store, cache: MemoryCache(), gate: QueryGate())
            let start = ContinuousClock.now
            let all = try await engine.counts(CountQuery(project: "p", from: noon, to: noon + .seconds(3_600), limit: 10_000)).counts
            #expect(all.total == 3_000_000 && all.groups.count == 10_000 && all.other == 60 * 40_000)
            let one = try await engine.counts(CountQuery(project: "p", types: ["type49999"], from: noon, to: noon + .seconds(7_200)))
                .counts
            #expect(one.total == 60)
            let pairs = CountQuery(project: "p", from: noon + .seconds(3_600), to: noon + .seconds(7_200))
            #expect(try await engine.counts(pairs).counts.total == 300_000)
            #expect(ContinuousClock.now - start < .seconds(120))
        }
    }

    private func expectHours(_ store: any Store, types: Int64, minutes: Int64, hosts: Int64, isRolled: Bool) async throws {
        let engine = QueryEngine(store: store, cache: MemoryCache(), gate: QueryGate())
        func counts(_ hour: Int, _ body: (inout CountQuery) -> Void) async throws -> Counts {
            var query = CountQuery(project: "p", from: noon + .seconds(hour * 3_600), to: noon + .seconds(hour * 3_600 + 3_600))
            body(&query)
            let start = ContinuousClock.now
            let counts = try await engine.counts(query).counts
            #expect(ContinuousClock.now - start < .seconds(60), "\(query)")
            return counts
        }
        let all = try await counts(0) { $0.limit = 3 }
        #expect(all.total == types * minutes && all.groups.map(\.count) == [minutes, minutes, minutes], "\(isRolled)")
        #expect(try await counts(0) { $0.types = ["type\(types - 1)"] }.total == minutes)
        #expect(try await counts(0) { ($0.sources, $0.grouping) = (["s"], .source) }.total == types * minutes)
        #expect(try await counts(1) { _ in }.groups.count == 300)
        #expect(try await counts(1) { $0.sources = ["host7"] }.total == 300)
        #expect(
            try await counts(1) { ($0.types, $0.grouping) = (["t0", "t299"], .source) }.groups.map(\.count)
                == Array(repeating: 2, count: Int(hosts)))
    }
}
