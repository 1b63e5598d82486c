import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// Sessions against a count one by one.
@Suite(.timeLimit(.minutes(5)))
struct SessionTests {
    private let store = MemoryStore()
    private static let minute: Int64 = 60_000

    /// Events that are often as far from each other as a pause may be.
    private static var histories: Histories {
        var histories = Histories()
        histories.sessions = ["s1", "é", "e\u{301}"]
        histories.values = [#""/a""#, #""/b""#, "7", "null", #"["/b","/a"]"#]
        histories.pauses = [0, 30 * minute, 30 * minute + 1, 5 * minute, 29 * minute, Histories.day, Histories.day + 1]
        return histories
    }

    private static func page(_ fact: HistoryEvent) -> GroupKey? {
        switch fact.value {
        case #""/a""#, #"["/b","/a"]"#: GroupKey("/a")
        case #""/b""#: GroupKey("/b")
        case "7": GroupKey(.integer(7))
        default: nil
        }
    }

    private static func figures(_ sessions: [[HistoryEvent]]) -> Sessions.Figures {
        let lengths = sessions.map { Double($0.last!.time - $0[0].time) }.sorted()
        func quantile(_ share: Double) -> Double? {
            guard let last = lengths.last else { return nil }
            let rank = Double(lengths.count - 1) * share
            let low = Int(rank)
            guard low + 1 < lengths.count else { return last / 1_000 }
            let (a, b, part) = (lengths[low], lengths[low + 1], rank - Double(low))
            return (part < 0.5 ? a + (b - a) * part : b - (b - a) * (1 - part)) / 1_000
        }
        return Sessions.Figures(
            sessions: Int64(sessions.count), users: Int64(Set(sessions.map { $0[0].user! }).count),
            events: Int64(sessions.reduce(0) { $0 + $1.count }), bounces: Int64(sessions.filter { $0.count == 1 }.count),
            medianSeconds: quantile(0.5), p90Seconds: quantile(0.9))
    }

    private static func pages(_ sessions: [[HistoryEvent]], limit: Int) -> [Sessions.Page] {
        let pages = sessions.compactMap { session -> GroupKey? in
            guard let time = session.first(where: { page($0) != nil })?.time else { return nil }
            return session.filter { $0.time == time }.compactMap(page).min()
        }
        return Dictionary(grouping: pages) { $0 }.map { Sessions.Page(page: $0.key, sessions: Int64($0.value.count)) }
            .sorted { ($1.sessions, $0.page) < ($0.sessions, $1.page) }.prefix(limit).map(\.self)
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func sessionsAreThoseOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await HistoryRig(Self.histories, &random)
        let (facts, engine) = (rig.facts, rig.engine)
        for _ in 0..<8 {
            let selection = rig.selection(&random, types: ["t0", "t2"])
            let range = selection.from!.milliseconds..<selection.to!.milliseconds
            let selected = selection.types.isEmpty ? facts : facts.filter { selection.types.contains($0.type) }
            let calendar = BucketCalendar(interval: [.hour, .day].randomElement(using: &random)!, rules: .utc)
            let starts = try #require(calendar.starts(in: selection.from!..<selection.to!, limit: 1_000))
            func buckets(_ sessions: [[HistoryEvent]]) -> [[[HistoryEvent]]] {
                starts.indices.map { index in
                    sessions.filter { session in starts.lastIndex { $0.milliseconds <= session[0].time } == index }
                }
            }
            let gap = [1, 29, 30, 31, 1_440].randomElement(using: &random)!
            let query = SessionsQuery(
                selection, gapMinutes: gap, page: try PropertyPath("data.page"), limit: 1 + random.below(3), starts: starts)
            let sessions = HistoryRig.sessions(selected, gap: Int64(gap) * Self.minute, range)
            let expected = Sessions(
                total: Self.figures(sessions), buckets: buckets(sessions).map(Self.figures),
                entryPages: Self.pages(sessions, limit: query.limit),
                exitPages: Self.pages(sessions.map { $0.reversed() }, limit: query.limit))
            let (answer, _) = try await engine.answer(to: query)
            #expect(answer == expected, "seed \(seed)")
            #expect(try await engine.answer(to: query) == (expected, true), "seed \(seed)")
            #expect(try SessionsCodec.decode(SessionsCodec.encode(expected)) == expected)

            let half = HistoryRig.sessions(selected, gap: 30 * Self.minute, range)
            let series = try await engine.timeseries(TimeseriesQuery(selection, metric: .sessions, starts: starts)).answer
            #expect(series.series[0].values == buckets(half).map { .integer(Int64($0.count)) }, "seed \(seed)")
            let top = try await engine.top(TopQuery(selection, by: .type, metric: .sessions, limit: 2)).answer
            let keys = half.map { session in Set(session.filter { $0.time == session[0].time }.map { GroupKey($0.type) }) }
            let items = Set(keys.joined()).map { key in Top.Item(key: key, value: .integer(Int64(keys.filter { $0.contains(key) }.count))) }
                .sorted { MetricValue.isLarger($0.value, $1.value) || (!MetricValue.isLarger($1.value, $0.value) && $0.key < $1.key) }
                .prefix(2)
            #expect(top.items == Array(items) && top.total == .integer(Int64(half.count)), "seed \(seed)")
            #expect(top.other == .integer(Int64(keys.filter { !$0.isSubset(of: items.map(\.key)) }.count)), "seed \(seed)")
        }
    }

    private func ask(_ from: Timestamp, _ to: Timestamp, _ engine: QueryEngine) async throws -> (sessions: Int64, cached: Bool) {
        let query = SessionsQuery(
            Selection(project: Project.default, from: from, to: to), page: try PropertyPath("data.page"), starts: [from])
        let (answer, isCached) = try await engine.answer(to: query)
        return (answer.total.sessions, isCached)
    }

    @Test func whatComesLaterBeforeTheRangeChangesACachedAnswer() async throws {
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        func event(_ id: String, _ time: Timestamp) -> Event {
            var event = sample(id, at: time)
            (event.userId, event.sessionId) = ("ann", "s1")
            return event
        }
        // Past a midnight, so that another day's generation decides.
        let midnight = Timestamp(day: noon.day + 1)
        try await write([event("a", midnight + .seconds(60))], to: store)
        #expect(try await ask(midnight, midnight + .seconds(3_600), engine) == (1, false))
        #expect(try await ask(midnight, midnight + .seconds(3_600), engine) == (1, true))
        try await write([event("b", midnight - .seconds(3_600))], to: store)
        #expect(try await ask(midnight, midnight + .seconds(3_600), engine) == (0, false))
    }

    @Test func aRangeWhosePastIsDeletedIsRefused() async throws {
        var event = sample("a", at: noon + .seconds(2 * 86_400))
        event.userId = "ann"
        try await write([event], to: store)
        try await store.raiseWatermark(of: Project.default, to: noon)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        #expect(try await ask(noon + .seconds(86_400), noon + .seconds(4 * 86_400), engine).sessions == 1)
        do {
            _ = try await ask(noon + .seconds(86_400 - 60), noon + .seconds(4 * 86_400), engine)
            Issue.record("answered")
        } catch let error as ExpiredRangeError {
            #expect(error.reason == .untoldBefore)
        }
    }

    @Test func sessionsOfTwoPartsOfARangeAddUp() async throws {
        var random = Seeded(99)
        var histories = Self.histories
        try await write(histories.events("a", count: 150, &random), to: store)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let (from, to) = (noon, noon + .seconds(8 * 86_400))
        let whole = try await ask(from, to, engine).sessions
        for _ in 0..<10 {
            let middle = Timestamp(milliseconds: histories.facts.randomElement(using: &random)!.time)
            guard middle > from else { continue }
            let (first, second) = (try await ask(from, middle, engine).sessions, try await ask(middle, to, engine).sessions)
            #expect(first + second == whole)
        }
    }

    @Test func aUserWithTooManyEventsIsRefused() throws {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        let query = SessionsQuery(selection, page: try PropertyPath("data.page"), starts: [noon])
        var tally = SessionsTally(query, noon..<noon + .seconds(60))
        let rows = EventRows(
            day: noon.day, actors: [ActorKey(.user, "ann")], starts: [0, 1_000], times: Array(repeating: 0, count: 1_000),
            columns: [.empty, .empty], names: nil)
        try tally.load(rows, slot: 0)
        tally.begin(isUser: true)
        for _ in 0..<4_200 { tally.add(slot: 0, 0..<1_000) }
        tally.end()
        #expect(throws: QueryTooLargeError.self) { try tally.check() }
    }

    @Test func cachedSessionsAreReadAgainOrRefused() throws {
        let figures = Sessions.Figures(sessions: 2, users: 1, events: 5, bounces: 1, medianSeconds: 0.5, p90Seconds: 86_400)
        let answer = Sessions(
            total: figures, buckets: [Sessions.Figures(), figures],
            entryPages: [.init(page: GroupKey("/"), sessions: 2), .init(page: .boolean(false), sessions: 1)], exitPages: [])
        let bytes = SessionsCodec.encode(answer)
        #expect(try SessionsCodec.decode(bytes) == answer)
        for length in bytes.indices { #expect(throws: AnswerFault.self) { try SessionsCodec.decode(Array(bytes.prefix(length))) } }
        #expect(throws: AnswerFault.unknownFormat) { try SessionsCodec.decode([2] + bytes.dropFirst()) }
        #expect(throws: AnswerFault.damaged) { try SessionsCodec.decode(bytes + [0]) }
        var wrong: [Sessions] = []
        for change in [
            { $0.total.sessions = 3 }, { $0.total.users = 3 }, { $0.total.medianSeconds = nil }, { $0.total.p90Seconds = 86_401 },
            { $0.total.medianSeconds = -1 }, { $0.total.p90Seconds = .nan }, { $0.buckets[1].events = 6 }, { $0.buckets[0].users = 1 },
            { $0.buckets[0].medianSeconds = 0 }, { $0.entryPages[0].sessions = 3 }, { $0.entryPages[0].page = .null },
            { $0.exitPages = [.init(page: GroupKey("/"), sessions: 0)] },
        ] as [(inout Sessions) -> Void] {
            var copy = answer
            change(&copy)
            wrong.append(copy)
        }
        for answer in wrong { #expect(throws: AnswerFault.damaged) { try SessionsCodec.decode(SessionsCodec.encode(answer)) } }
    }
}
