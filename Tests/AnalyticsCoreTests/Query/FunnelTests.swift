import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// Ways through funnels against all ways, tried one by one.
@Suite struct FunnelWalkTests {
    private struct Case {
        var steps: Int
        var window: Int64
        var range: Range<Int64>
        var events: [FunnelEvent]

        init(_ random: inout Seeded) {
            steps = 2 + random.below(4)
            window = Int64([0, 1, 3, 6, 30].randomElement(using: &random)!)
            range = Int64(random.below(6))..<Int64(6 + random.below(8))
            let length = [3, 8, 16].randomElement(using: &random)!
            let (most, excluding) = (1 << steps, random.chance(50))
            events = (0..<1 + random.below(10)).map { index in
                let isOne = random.chance(60)
                var event = FunnelEvent(time: Int64(random.below(length)), steps: 0, exclusions: 0, mark: Int32(index))
                event.steps = UInt16(isOne ? 1 << random.below(most.trailingZeroBitCount) : random.below(most))
                if excluding, random.chance(30) { event.exclusions = UInt16(random.below(most)) & ~1 }
                return event
            }
        }
    }

    /// Most steps, then the earliest entry.
    private func expected(_ each: Case, _ order: FunnelQuery.Order) -> [Int64] {
        var best: [Int64] = []
        for entry in Set(each.events.map(\.time)).sorted() where each.range.contains(entry) {
            var within = each
            within.events = each.events.filter { $0.time - entry <= each.window }
            let way =
                switch order {
                case .ordered: ordered(within, entry)
                case .strict: strict(within, entry)
                case .any: any(within, entry)
                }
            let included = cut(way, each.events)
            if included.count > best.count { best = included }
        }
        return best
    }

    private func cut(_ way: [Int64], _ events: [FunnelEvent]) -> [Int64] {
        for step in way.indices.dropFirst() {
            let isExcluded = events.contains { $0.exclusions >> step & 1 != 0 && $0.time > way[step - 1] && $0.time < way[step] }
            if isExcluded { return Array(way.prefix(step)) }
        }
        return way
    }

    /// For each number of steps the earliest moment at which different events can have served them in their order.
    private func ordered(_ each: Case, _ entry: Int64) -> [Int64] {
        var times: [Int64?] = Array(repeating: nil, count: each.steps)
        func go(_ step: Int, _ time: Int64, _ used: Set<Int>) {
            guard step < each.steps else { return }
            for (index, event) in each.events.enumerated() where !used.contains(index) && event.steps >> step & 1 != 0 {
                guard step == 0 ? event.time == entry : event.time >= time else { continue }
                times[step] = min(times[step] ?? event.time, event.time)
                go(step + 1, event.time, used.union([index]))
            }
        }
        go(0, entry, [])
        return Array(times.prefix { $0 != nil }).map { $0! }
    }

    /// The longest sequence of neighbours, then the earliest.
    private func strict(_ each: Case, _ entry: Int64) -> [Int64] {
        var best: [Int64] = []
        func go(_ way: [Int64], _ used: Set<Int>) {
            if way.count > best.count || (way.count == best.count && way.lexicographicallyPrecedes(best)) { best = way }
            guard way.count < each.steps, let last = way.last else { return }
            let next = each.events.filter { $0.time > last }.map(\.time).min()
            let isUsedUp = each.events.indices.allSatisfy { each.events[$0].time != last || used.contains($0) }
            for (index, event) in each.events.enumerated() where !used.contains(index) && event.steps >> way.count & 1 != 0 {
                if event.time == last || (event.time == next && (last == entry || isUsedUp)) { go(way + [event.time], used.union([index])) }
            }
        }
        for (index, event) in each.events.enumerated() where event.time == entry && event.steps & 1 != 0 { go([entry], [index]) }
        return best
    }

    /// When how many different steps can be served.
    private func any(_ each: Case, _ entry: Int64) -> [Int64] {
        guard each.events.contains(where: { $0.time == entry && $0.steps != 0 }) else { return [] }
        var served: Set<UInt16> = [0]
        var times: [Int64] = []
        for event in each.events.sorted(by: { $0.time < $1.time }) where event.time >= entry {
            for steps in served {
                for step in 0..<each.steps where (event.steps & ~steps) >> step & 1 != 0 { served.insert(steps | 1 << step) }
            }
            let count = served.map(\.nonzeroBitCount).max() ?? 0
            while times.count < count { times.append(event.time) }
        }
        return times
    }

    @Test(arguments: FunnelQuery.Order.allCases)
    func theWayIsTheBestOfAll(order: FunnelQuery.Order) {
        for seed in 0..<3_000 as Range<UInt64> {
            var random = Seeded(seed)
            var each = Case(&random)
            if order == .strict {
                each.events = each.events.map { FunnelEvent(time: $0.time, steps: $0.steps, exclusions: 0, mark: $0.mark) }
            }
            let expected = expected(each, order)
            var walk = FunnelWalk(steps: each.steps, window: each.window, order: order, range: each.range)
            // One that has walked for others before.
            var others = each.events.map { FunnelEvent(time: $0.time + 1, steps: ~0, exclusions: 0, mark: 0) }
            _ = walk.walk(&others)
            var events = each.events
            let isThere = walk.walk(&events)
            #expect(isThere == !expected.isEmpty && walk.times == expected, "seed \(seed), \(order)")
            if isThere, !expected.isEmpty { #expect(events[walk.entry].allSatisfy { $0.time == expected[0] }) }
        }
    }

    /// A user with many entries that lead nowhere costs what the events cost, and not their square.
    @Test(arguments: FunnelQuery.Order.allCases)
    func manyEntriesTakeTimeInProportion(order: FunnelQuery.Order) {
        let count = 40_000
        var events = (0..<count).map { FunnelEvent(time: Int64($0), steps: $0 % 2 == 0 ? 1 : 2, exclusions: 0, mark: 0) }
        events += (0..<2_000).map { _ in FunnelEvent(time: Int64(count), steps: 3, exclusions: 0, mark: 0) }
        var walk = FunnelWalk(steps: 3, window: 1 << 40, order: order, range: 0..<Int64(count))
        let clock = ContinuousClock()
        let elapsed = clock.measure { _ = walk.walk(&events) }
        #expect(walk.times == [0, 1] && elapsed < .seconds(20))
    }
}

/// Funnels and retention from rows of segments and of events, against a count one by one.
@Suite(.timeLimit(.minutes(5)))
struct FunnelTests {
    private let store = MemoryStore()

    private func rig(_ random: inout Seeded) async throws -> HistoryRig {
        var histories = Histories()
        histories.types = 4
        histories.users = ["ann", "bob", "cat"]
        (histories.property, histories.values) = ("plan", [nil, nil, #""pro""#, #""free""#])
        (histories.pauses, histories.closeness) = ([0, 3_600_000, 7_200_000], 60)
        return try await HistoryRig(histories, &random)
    }

    private func pattern(_ random: inout Seeded) -> EventPattern {
        EventPattern(
            types: random.chance(70) ? ["t\(random.below(4))"] : ["t0", "t\(random.below(4))"],
            data: random.chance(20) ? [DataCondition(path: ["plan"], values: ["pro"])] : [])
    }

    private static func fits(_ fact: HistoryEvent, _ pattern: EventPattern) -> Bool {
        (pattern.types.isEmpty || pattern.types.contains(fact.type)) && (pattern.data.isEmpty || fact.value == #""pro""#)
    }

    private static func steps(_ ways: [[Int64]], _ count: Int) -> [Funnel.Step] {
        (0..<count).map { step in
            let lengths = ways.filter { $0.count > step && step > 0 }.map { $0[step] - $0[step - 1] }.sorted()
            return Funnel.Step(
                users: Int64(ways.filter { $0.count > step }.count), medianSeconds: Quantile.seconds(0.5, of: lengths),
                p90Seconds: Quantile.seconds(0.9, of: lengths))
        }
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func funnelsAreThoseOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        let engine = rig.engine
        for _ in 0..<8 {
            let selection = rig.selection(&random, types: ["t0", "t1", "t2"])
            let count = 2 + random.below(3)
            var query = FunnelQuery(
                selection, steps: (0..<count).map { _ in pattern(&random) },
                order: FunnelQuery.Order.allCases.randomElement(using: &random)!,
                windowSeconds: [3_600, 7_200, 86_400, 604_800].randomElement(using: &random)!,
                by: random.chance(50) ? Dimension("data.plan") : nil, limit: 1 + random.below(3))
            if query.order != .strict, random.chance(40) {
                query.exclusions = [.init(pattern(&random), between: 1...1 + random.below(count))]
            }
            var ways: [(times: [Int64], keys: Set<GroupKey>)] = []
            for user in rig.users(selection) {
                var events = user.map { fact in
                    var event = FunnelEvent(time: fact.time, steps: 0, exclusions: 0, mark: 0)
                    for (step, pattern) in query.steps.enumerated() where Self.fits(fact, pattern) { event.steps |= 1 << step }
                    for exclusion in query.exclusions where Self.fits(fact, exclusion.pattern) {
                        for step in exclusion.between.dropLast() { event.exclusions |= 1 << step }
                    }
                    return event
                }
                var walk = FunnelWalk(
                    steps: count, window: Int64(query.windowSeconds) * 1_000, order: query.order,
                    range: selection.from!.milliseconds..<selection.to!.milliseconds)
                guard walk.walk(&events) else { continue }
                let entry = user.filter { fact in
                    fact.time == walk.times[0]
                        && (query.order == .any ? query.steps.contains { Self.fits(fact, $0) } : Self.fits(fact, query.steps[0]))
                }
                let keys = Set(entry.compactMap(\.value).map { GroupKey($0 == #""pro""# ? "pro" : "free") })
                ways.append((walk.times, keys.isEmpty ? [.null] : keys))
            }
            var expected = Funnel(steps: Self.steps(ways.map(\.times), count), groups: [], other: nil)
            if query.dimension != nil {
                let all = Set(ways.flatMap(\.keys)).map { key in (key: key, users: ways.filter { $0.keys.contains(key) }) }
                let listed = all.sorted { $0.users.count != $1.users.count ? $0.users.count > $1.users.count : $0.key < $1.key }
                    .prefix(query.limit)
                expected.groups = listed.map { Funnel.Group(key: $0.key, steps: Self.steps($0.users.map(\.times), count)) }
                let others = ways.filter { way in !way.keys.isSubset(of: listed.map(\.key)) }
                expected.other = others.isEmpty ? nil : Self.steps(others.map(\.times), count)
            }
            let (answer, _) = try await engine.answer(to: query)
            #expect(answer == expected, "seed \(seed)")
            #expect(try await engine.answer(to: query) == (expected, true), "seed \(seed)")
            #expect(try FunnelCodec.decode(FunnelCodec.encode(expected)) == expected)
        }
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func retentionIsThatOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        let engine = rig.engine
        for _ in 0..<8 {
            let selection = rig.selection(&random, types: ["t0", "t1", "t2"])
            let calendar = BucketCalendar(interval: [.day, .week].randomElement(using: &random)!, rules: .utc)
            let periods = 1 + random.below(5)
            var starts = try #require(calendar.starts(in: selection.from!..<selection.to!, limit: 100))
            let cohorts = starts.count
            for _ in 0..<periods { starts.append(calendar.next(after: starts.last!)) }
            let query = RetentionQuery(
                selection, first: random.chance(80) ? pattern(&random) : EventPattern(), firstEver: random.chance(50),
                returning: random.chance(50) ? pattern(&random) : EventPattern(),
                mode: RetentionQuery.Mode.allCases.randomElement(using: &random)!, periods: periods, starts: starts)
            func bucket(_ time: Int64) -> Int { starts.lastIndex { $0.milliseconds <= time } ?? -1 }
            var expected = UserRetention(
                cohorts: (0..<cohorts).map { _ in .init(size: 0, values: Array(repeating: 0, count: periods)) })
            for user in rig.users(selection) {
                let firsts = user.filter { Self.fits($0, query.first) }.map(\.time)
                let counted = (query.firstEver ? Array(firsts.prefix(1)) : firsts)
                    .filter { $0 >= selection.from!.milliseconds && $0 < selection.to!.milliseconds }
                let returns = Set(user.filter { Self.fits($0, query.returning) }.map { bucket($0.time) })
                for cohort in Set(counted.map(bucket)) {
                    expected.cohorts[cohort].size += 1
                    for period in 0..<periods {
                        let last =
                            switch query.mode {
                            case .on: cohort + period
                            case .onOrAfter: cohort + periods - 1
                            case .unbounded: Int.max
                            }
                        if returns.contains(where: { $0 >= cohort + period && $0 <= last }) { expected.cohorts[cohort].values[period] += 1 }
                    }
                }
            }
            let (answer, _) = try await engine.answer(to: query)
            #expect(answer == expected, "seed \(seed), \(query.mode), first ever: \(query.firstEver)")
            #expect(try await engine.answer(to: query) == (expected, true), "seed \(seed)")
            #expect(try RetentionCodec.decode(RetentionCodec.encode(expected)) == expected)
        }
    }

    // MARK: What lies beyond the range

    private func event(_ id: String, _ type: String, _ time: Timestamp) -> Event {
        var event = sample(id, type: type, at: time)
        event.userId = "ann"
        return event
    }

    @Test func whatComesLaterBeyondTheRangeChangesACachedAnswer() async throws {
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        let funnel = FunnelQuery(selection, steps: [EventPattern(types: ["a"]), EventPattern(types: ["b"])], windowSeconds: 3 * 86_400)
        let day = BucketCalendar(interval: .day, rules: .utc)
        let starts = [day.start(of: noon), day.next(after: noon)]
        let first = RetentionQuery(
            selection, first: EventPattern(types: ["a"]), firstEver: true, returning: EventPattern(types: ["b"]), mode: .unbounded,
            periods: 1, starts: starts)
        try await write([event("1", "a", noon)], to: store)
        #expect(try await engine.answer(to: funnel).answer.steps.map(\.users) == [1, 0])
        #expect(try await engine.answer(to: first).answer.cohorts == [.init(size: 1, values: [0])])
        try await write([event("2", "b", noon + .seconds(2 * 86_400))], to: store)
        #expect(try await engine.answer(to: funnel).answer.steps.map(\.users) == [1, 1])
        #expect(try await engine.answer(to: first).answer.cohorts == [.init(size: 1, values: [1])])
        #expect(try await engine.answer(to: first).cached)
        try await write([event("3", "a", noon - .seconds(200 * 86_400))], to: store)
        #expect(try await engine.answer(to: first).answer.cohorts == [.init(size: 0, values: [0])])
        // What is deleted is not the first any more.
        try await store.raiseWatermark(of: Project.default, to: noon - .seconds(86_400))
        #expect(try await engine.answer(to: first).answer.cohorts == [.init(size: 1, values: [1])])
    }

    // MARK: Cached answers

    @Test func cachedFunnelsAreReadAgainOrRefused() throws {
        let steps: [Funnel.Step] = [.init(users: 3), .init(users: 2, medianSeconds: 0, p90Seconds: 1.5), .init(users: 0)]
        let answer = Funnel(steps: steps, groups: [.init(key: .null, steps: steps), .init(key: GroupKey("x"), steps: steps)], other: steps)
        let bytes = FunnelCodec.encode(answer)
        #expect(try FunnelCodec.decode(bytes) == answer)
        for length in bytes.indices { #expect(throws: AnswerFault.self) { try FunnelCodec.decode(Array(bytes.prefix(length))) } }
        #expect(throws: AnswerFault.unknownFormat) { try FunnelCodec.decode([2] + bytes.dropFirst()) }
        for change in [
            { $0.steps[1].users = 4 }, { $0.steps[1].medianSeconds = nil }, { $0.steps[0].medianSeconds = 1 },
            { $0.steps[2].p90Seconds = 1 },
            { $0.groups[0].steps[1].p90Seconds = -1 }, { $0.other![1].medianSeconds = .infinity },
        ] as [(inout Funnel) -> Void] {
            var wrong = answer
            change(&wrong)
            #expect(throws: AnswerFault.damaged) { try FunnelCodec.decode(FunnelCodec.encode(wrong)) }
        }
        let query = FunnelQuery(Selection(project: Project.default), steps: [EventPattern(), EventPattern()])
        #expect(!query.accepts(answer) && query.accepts(Funnel(steps: [.init(), .init()], groups: [], other: nil)))
        #expect(!query.accepts(Funnel(steps: [.init(), .init()], groups: [], other: [.init(), .init()])))
    }

    @Test func cachedRetentionIsReadAgainOrRefused() throws {
        let answer = UserRetention(cohorts: [.init(size: 3, values: [3, 0]), .init(size: 0, values: [0, 0])])
        let bytes = RetentionCodec.encode(answer)
        #expect(try RetentionCodec.decode(bytes) == answer)
        for length in bytes.indices { #expect(throws: AnswerFault.self) { try RetentionCodec.decode(Array(bytes.prefix(length))) } }
        var wrong = answer
        wrong.cohorts[1].values[0] = 1
        #expect(throws: AnswerFault.damaged) { try RetentionCodec.decode(RetentionCodec.encode(wrong)) }
        #expect(throws: AnswerFault.damaged) { try RetentionCodec.decode(bytes + [0]) }
    }

    @Test func questionsThatDifferHaveDifferentKeys() {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        let (a, b) = (EventPattern(types: ["a"]), EventPattern(types: ["b"]))
        let funnels = [
            FunnelQuery(selection, steps: [a, b]), FunnelQuery(selection, steps: [b, a]),
            FunnelQuery(selection, steps: [a, b], order: .any),
            FunnelQuery(selection, steps: [a, b], windowSeconds: 1), FunnelQuery(selection, steps: [a, b], by: .type),
            FunnelQuery(selection, steps: [a, b], by: .type, limit: 1), FunnelQuery(selection, steps: [a, a, b]),
            FunnelQuery(selection, steps: [a, b], exclusions: [.init(a, between: 1...2)]),
            FunnelQuery(selection, steps: [a, b], exclusions: [.init(b, between: 1...2)]),
            FunnelQuery(selection, steps: [EventPattern(types: ["a", "b"]), EventPattern()]),
            FunnelQuery(selection, steps: [EventPattern(sources: ["a"]), b]),
            FunnelQuery(selection, steps: [EventPattern(types: ["a"], data: [DataCondition(path: ["x"], values: ["1"])]), b]),
        ]
        #expect(Set(funnels.map(\.keyParts)).count == funnels.count)
        func retention(
            _ first: EventPattern, _ returning: EventPattern, ever: Bool = false, mode: RetentionQuery.Mode = .on, periods: Int = 1
        ) -> [String] {
            RetentionQuery(
                selection, first: first, firstEver: ever, returning: returning, mode: mode, periods: periods,
                starts: [noon, noon + .seconds(60), noon + .seconds(120)]
            ).keyParts
        }
        let parts = [
            retention(a, b), retention(b, a), retention(a, b, ever: true), retention(a, b, mode: .onOrAfter),
            retention(a, b, mode: .unbounded), retention(a, b, periods: 2),
        ]
        #expect(Set(parts).count == parts.count)
    }
}
