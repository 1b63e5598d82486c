import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// Questions about users and properties against a count one by one.
@Suite(.timeLimit(.minutes(5)))
struct ScannedQuestionTests {
    private let store = MemoryStore()
    private static let length = 5 * 86_400_000

    /// What is asked about an event.
    private struct Facts {
        var time: Timestamp
        var type: String
        var userId: String?
        var anonymousId: String?
        var visitorId: String?
        var isBot: Bool
        /// Once it is known who is one with whom.
        var user: String?
        var keys: [GroupKey]
        var numbers: [Double]
    }

    /// The facts of each event, and the events, stored.
    private func fill(_ random: inout Seeded, _ prefix: String, count: Int) async throws -> [Facts] {
        var facts: [Facts] = []
        var events: [Event] = []
        let share = [0, 0, 25, 100].randomElement(using: &random)!
        for index in 0..<count {
            let time = noon + .milliseconds(random.chance(20) ? random.below(5) * 3_600_000 : random.below(Self.length))
            let known = random.chance(60) ? ["ann", "e\u{301}", "é", "d1"].randomElement(using: &random)! : nil
            let anonymous = random.chance(60) ? ["d1", "d2", "ann"].randomElement(using: &random)! : nil
            let (plan, keys): (String, [GroupKey]) = [
                (#""pro""#, [GroupKey("pro")]), ("3", [.number(.integer(3))]), ("3.0", [.number(.integer(3))]), ("null", [.null]),
                ("true", [.boolean(true)]), (#"["a","b","a"]"#, [GroupKey("a"), GroupKey("b")]), ("[]", [.null]), (#"{"x":1}"#, [.null]),
                (#"["a",2.5]"#, [GroupKey("a"), .number(.double(2.5))]), (#""3""#, [GroupKey("3")]),
            ].randomElement(using: &random)!
            let (amount, numbers): (String, [Double]) = [
                ("0.1", [0.1]), ("[1,2,\"x\"]", [1, 2]), ("null", []), ("1e16", [1e16]), ("-7", [-7]), ("\"5\"", []),
            ].randomElement(using: &random)!
            let type = random.chance(8) ? "$identify" : "t\(random.below(3))"
            var event = sample("\(prefix)\(index)", type: type, at: time, data: #"{"plan":\#(plan),"amount":\#(amount)}"#)
            let visitor =
                known == nil && anonymous == nil && random.chance(60) ? ["v1", "v2", "ann", "d1"].randomElement(using: &random)! : nil
            (event.userId, event.anonymousId, event.visitorId) = (known, anonymous, visitor)
            events.append(event)
            facts.append(
                Facts(
                    time: time, type: type, userId: known, anonymousId: anonymous, visitorId: visitor, isBot: random.chance(share),
                    keys: keys,
                    numbers: numbers))
        }
        try await write(events, to: store, bots: Set(zip(events, facts).filter { $1.isBot }.map { $0.0.id }))
        return facts
    }

    /// An anonymous id belongs to the user of the earliest event that joins them; of those at one moment to the one with the smallest id.
    private static func identify(_ facts: inout [Facts]) {
        var users: [BytewiseString: (time: Timestamp, user: BytewiseString)] = [:]
        for fact in facts where fact.type == "$identify" {
            guard let user = fact.userId.map({ BytewiseString($0) }), let anonymous = fact.anonymousId.map({ BytewiseString($0) }) else {
                continue
            }
            guard let before = users[anonymous] else {
                users[anonymous] = (fact.time, user)
                continue
            }
            if fact.time < before.time || (fact.time == before.time && user < before.user) { users[anonymous] = (fact.time, user) }
        }
        for index in facts.indices {
            let own = facts[index].userId ?? facts[index].anonymousId.flatMap { users[BytewiseString($0)]?.user.text }
            facts[index].user =
                own.map { "known \($0)" } ?? facts[index].anonymousId.map { "anonymous \($0)" }
                ?? facts[index].visitorId.map { "visitor \($0)" }
        }
    }

    private func value(_ metric: Metric, _ facts: [Facts]) -> MetricValue {
        let numbers = facts.flatMap(\.numbers)
        switch metric {
        case .events, .sessions: return .integer(Int64(facts.count))
        case .users: return .integer(Int64(Set(facts.compactMap(\.user).map(BytewiseString.init)).count))
        case .measure(.sum, _), .measure(.avg, _):
            var sum = ExactSum()
            for number in numbers { sum.add(number) }
            if case .measure(.sum, _) = metric { return .double(sum.value) }
            return numbers.isEmpty ? .none : .double(sum.value / Double(numbers.count))
        case .measure(.min, _): return numbers.min().map { .double($0) } ?? .none
        case .measure(.max, _): return numbers.max().map { .double($0) } ?? .none
        case .measure(let measure, _):
            let sorted = numbers.sorted()
            guard !sorted.isEmpty else { return .none }
            let share = measure == .p50 ? 0.5 : measure == .p90 ? 0.9 : 0.99
            let rank = Double(sorted.count - 1) * share
            let low = Int(rank)
            guard low + 1 < sorted.count else { return .double(sorted[low]) }
            let (a, b, part) = (sorted[low], sorted[low + 1], rank - Double(low))
            return .double(part < 0.5 ? a + (b - a) * part : b - (b - a) * (1 - part))
        }
    }

    private func hasValue(_ metric: Metric, _ facts: [Facts]) -> Bool {
        switch metric {
        case .events, .sessions: !facts.isEmpty
        case .users: facts.contains { $0.user != nil }
        case .measure: facts.contains { !$0.numbers.isEmpty }
        }
    }

    private func keys(_ dimension: Dimension, _ facts: Facts) -> [GroupKey] {
        switch dimension {
        case .type: [GroupKey(facts.type)]
        case .userId: [facts.userId.map { GroupKey($0) } ?? .null]
        default: facts.keys
        }
    }

    private func top(_ query: TopQuery, _ facts: [Facts]) -> Top {
        let all = Set(facts.flatMap { keys(query.dimension, $0) })
        let values = all.map { key in (key, facts.filter { keys(query.dimension, $0).contains(key) }) }
            .filter { hasValue(query.metric, $0.1) }.map { ($0.0, value(query.metric, $0.1)) }
            .sorted { MetricValue.isLarger($0.1, $1.1) || (!MetricValue.isLarger($1.1, $0.1) && $0.0 < $1.0) }
        let listed = values.prefix(query.limit).map { Top.Item(key: $0.0, value: $0.1) }
        let others = facts.filter { facts in keys(query.dimension, facts).contains { key in !listed.contains { $0.key == key } } }
        return Top(items: listed, total: value(query.metric, facts), other: value(query.metric, others))
    }

    private func series(_ query: TimeseriesQuery, _ facts: [Facts]) -> Timeseries {
        func row(_ facts: [Facts], _ key: GroupKey?) -> Timeseries.Series {
            let values = query.starts.indices.map { index in
                value(query.metric, facts.filter { facts in query.starts.lastIndex { $0 <= facts.time } == index })
            }
            return .init(key: key, values: values, total: value(query.metric, facts))
        }
        let total = value(query.metric, facts)
        guard let dimension = query.dimension else { return Timeseries(series: [row(facts, nil)], other: nil, total: total) }
        let listed = top(TopQuery(query.selection, by: dimension, metric: query.metric, limit: query.limit), facts).items.map(\.key)
        let others = facts.filter { facts in keys(dimension, facts).contains { !listed.contains($0) } }
        return Timeseries(
            series: listed.map { key in row(facts.filter { keys(dimension, $0).contains(key) }, key) },
            other: hasValue(query.metric, others) ? row(others, nil) : nil, total: total)
    }

    private static let metrics = ["events", "users"] + Metric.Measure.allCases.map { "\($0.rawValue)(data.amount)" }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func answersAreThoseOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        // Segments hold nothing of it, some of it as it was, or all.
        let builder = SegmentBuilder(
            store: store, clock: .fixed(noon + .milliseconds(random.below(2 * Self.length))), elapsed: ManualClock().elapsed,
            chunkRows: [1, 2, 5, SegmentChunk.rowLimit].randomElement(using: &random)!, logger: quiet)
        if random.chance(50) { try await store.setProperties(of: Project.default, to: [PropertyPath("data.plan")]) }
        var facts: [Facts] = []
        for part in ["a", "b", "c"] {
            facts += try await fill(&random, part, count: 1 + random.below(80))
            if random.chance(50) { try await builder.pass(everything: random.chance(70)) }
        }
        if random.chance(30) { try await builder.finish() }
        Self.identify(&facts)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        for text in Self.metrics {
            let metric = try #require(Metric(text))
            #expect(metric.text == text)
            let moments = [random.below(Self.length), random.below(Self.length)].sorted().map { noon + .milliseconds($0) }
            let (from, to) = (moments[0], moments[1] + .milliseconds(1))
            var selection = Selection(project: Project.default, includesBots: random.chance(50), from: from, to: to)
            if random.chance(30) { selection.types = ["t0", "t2"] }
            if random.chance(20) { selection.userIds = ["ann", "é", "nobody"] }
            if random.chance(20) { selection.data = [DataCondition(path: ["plan"], values: ["3", "a", "true"])] }
            let plans = [GroupKey("3"), GroupKey(.integer(3)), GroupKey("a"), GroupKey(.boolean(true))]
            let selected = facts.filter { fact in
                fact.time >= from && fact.time < to && (selection.includesBots || !fact.isBot)
                    && (selection.types.isEmpty || selection.types.contains(fact.type))
                    && (selection.userIds.isEmpty
                        || selection.userIds.contains { user in fact.userId?.utf8.elementsEqual(user.utf8) == true })
                    && (selection.data.isEmpty || fact.keys.contains(where: plans.contains))
            }
            let dimension = try #require(Dimension(["type", "data.plan", "userId"].randomElement(using: &random)!))
            let limit = 1 + random.below(4)

            let topQuery = TopQuery(selection, by: dimension, metric: metric, limit: limit)
            let expectedTop = top(topQuery, selected)
            #expect(try await engine.top(topQuery).answer == expectedTop, "seed \(seed), \(text) by \(dimension.text)")
            #expect(try await engine.top(topQuery) == (expectedTop, true), "seed \(seed), \(text) by \(dimension.text)")

            let calendar = BucketCalendar(interval: [.hour, .day].randomElement(using: &random)!, rules: .utc)
            let starts = try #require(calendar.starts(in: from..<to, limit: 1_000))
            for by in [nil, dimension] {
                let query = TimeseriesQuery(selection, metric: metric, by: by, limit: limit, starts: starts)
                let expected = series(query, selected)
                #expect(try await engine.timeseries(query).answer == expected, "seed \(seed), \(text) by \(by?.text ?? "nothing")")
                #expect(try await engine.timeseries(query) == (expected, true), "seed \(seed), \(text) by \(by?.text ?? "nothing")")
            }
        }
    }

    @Test(arguments: [
        "", "event", "users()", "sum", "sum()", "sum(data)", "sum(data.)", "sum(data.a", "median(data.a)", "SUM(data.a)",
        "sum(type)", "sum(data.$a)",
    ])
    func whatIsNoMetricIsRefused(text: String) { #expect(Metric(text) == nil) }

    @Test func measuresNearTheLargestNumbersAreNumbers() {
        func value(_ metric: String, _ numbers: [Double]) -> MetricValue? {
            guard let metric = Metric(metric) else { return nil }
            var accumulator = MetricAccumulator(metric)
            for number in numbers { _ = accumulator.add(number) }
            return accumulator.value
        }
        #expect(value("p50(data.a)", [-1.7e308, -1.7e308, 1.7e308]) == .double(-1.7e308))
        #expect(value("p50(data.a)", [-1.7e308, 1.7e308]) == .double(0))
        #expect(value("avg(data.a)", [1.7e308, 1.7e308]) == .double(1.7e308))
        #expect(value("avg(data.a)", [1, 2]) == .double(1.5))
        #expect(value("sum(data.a)", [1.7e308, 1.7e308]) == .double(.infinity))
    }

    @Test func anArrayOfManyElementsIsCountedOncePerEventAndElement() {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        guard let dimension = Dimension("data.tags") else { return }
        var rows = ScannedRows(TopTally(TopQuery(selection, by: dimension, limit: 1)))
        let values = (0..<30_000).map { JSONScalar.integer(Int64($0 % 15_000)) }
        let goesOn = [values, [.integer(7)]].map { rows.add(ScannedEvent(timestamp: noon, id: "a", type: "t", source: "s", values: [$0])) }
        #expect(goesOn == [true, true])
        try? rows.finish()
        let answer = try? rows.reducer.answer()
        #expect(
            answer
                == Top(items: [.init(key: GroupKey(.integer(7)), value: .integer(2))], total: .integer(2), other: .integer(1)))
    }

    @Test(arguments: ["", "day", "data", "data.", "data.a..b", "context", "metadata.a", "data.$a", "Type"])
    func whatIsNoDimensionIsRefused(text: String) { #expect(Dimension(text) == nil) }

    @Test func keysAreTheSameByKindAndValue() {
        #expect(GroupKey(.integer(3)) == GroupKey(.double(3)) && GroupKey(.double(-0.0)) == GroupKey(.integer(0)))
        #expect(GroupKey(.string("3")) != GroupKey(.integer(3)) && GroupKey(.string("é")) != GroupKey(.string("e\u{301}")))
        #expect(GroupKey(.integer(9_007_199_254_740_993)) != GroupKey(.double(9_007_199_254_740_992)))
        let order: [GroupKey] = [
            .null, .boolean(false), .boolean(true), GroupKey(.double(-1e300)), GroupKey(.integer(.min)), GroupKey(.double(-0.5)),
            GroupKey(.integer(0)),
            GroupKey(.double(0.5)), GroupKey(.integer(.max)), GroupKey(.double(0x1p63)), GroupKey(.double(1e300)), GroupKey(""),
            GroupKey("e\u{301}"), GroupKey("é"),
        ]
        #expect(order.shuffled().sorted() == order)
        #expect(Set(order.map { BytewiseString($0.keyPart) }).count == order.count)
    }

    @Test func answersOfTheCacheAreReadAgainOrRefused() throws {
        let top = Top(
            items: [
                .init(key: GroupKey(.integer(-5)), value: .integer(7)), .init(key: .null, value: .double(-0.25)),
                .init(key: GroupKey("\u{FEFF}\0"), value: .none), .init(key: GroupKey(.double(1e300)), value: .integer(0)),
            ], total: .double(.infinity), other: .none)
        let bytes = TopCodec.encode(top)
        #expect(try TopCodec.decode(bytes) == top)
        for length in bytes.indices { #expect(throws: AnswerFault.self) { try TopCodec.decode(Array(bytes.prefix(length))) } }
        #expect(throws: AnswerFault.unknownFormat) { try TopCodec.decode([2] + bytes.dropFirst()) }
        #expect(throws: AnswerFault.damaged) { try TopCodec.decode(bytes + [0]) }
    }

    @Test func aQuestionThatTakesTooMuchIsRefused() throws {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        func add(_ query: TopQuery) -> (added: Int, rows: ScannedRows<TopTally>) {
            var rows = ScannedRows(TopTally(query))
            var added = 0
            let filling = String(repeating: "x", count: 100_000)
            while rows.add(
                ScannedEvent(
                    timestamp: noon, id: "", type: "t", source: "s", userId: "u", values: [[.string("\(added)" + filling)]])),
                added < 100_000
            { added += 1 }
            return (added, rows)
        }
        let dimension = try #require(Dimension("data.t"))
        for metric in [Metric.events, .users] {
            var (added, rows) = add(TopQuery(selection, by: dimension, metric: metric))
            #expect(throws: QueryTooLargeError.self) {
                try rows.finish()
                _ = try rows.reducer.answer()
            }
            #expect(added > 100 && added < 10_000)
        }
    }

    @Test func valuesOfManyKeysAreNotHeldForEach() throws {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        let metric = try #require(Metric("p50(data.v)"))
        var rows = ScannedRows(TopTally(TopQuery(selection, by: try #require(Dimension("data.t")), metric: metric)))
        let tags = (0..<2_000).map { JSONScalar.string("t\($0)") }
        let numbers = (0..<10_000).map { JSONScalar.integer(Int64($0 % 10)) }
        _ = rows.add(ScannedEvent(timestamp: noon, id: "a", type: "t", source: "s", values: [tags, numbers]))
        try rows.finish()
        #expect(throws: QueryTooLargeError.self) { try rows.reducer.answer() }
    }

    @Test func rowsAreBoundedByTheirBytesAtEachEvent() throws {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        var rows = ScannedRows(TopTally(TopQuery(selection, by: try #require(Dimension("data.t")), metric: .users)))
        var added = 0
        while added < 1_000 {
            let value = JSONScalar.string("\(added)" + String(repeating: "x", count: 200_000))
            guard rows.add(ScannedEvent(timestamp: noon, id: "a", type: "t", source: "s", userId: "u", values: [[value]])) else { break }
            added += 1
        }
        #expect(added < 200)
        #expect(throws: QueryTooLargeError.self) { try rows.finish() }
    }

    @Test func belowTheWatermarkUsersAreNotTold() async throws {
        try await write([sample("a", at: noon)], to: store)
        try await store.raiseWatermark(of: Project.default, to: noon)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        func ask(from: Timestamp) async throws -> Timeseries {
            try await engine.timeseries(
                TimeseriesQuery(
                    Selection(project: Project.default, from: from, to: noon + .seconds(60)), metric: .users, starts: [from])
            ).answer
        }
        #expect(try await ask(from: noon).total == .integer(0))
        await #expect(throws: ExpiredRangeError.self) { try await ask(from: noon - .seconds(60)) }
    }
}
