import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct QuestionCacheTests {
    private let store = MemoryStore()
    private let cache = UnboundedCache()

    @Test func theSameQuestionIsAnsweredFromTheCacheUntilItsDaysChange() async throws {
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        try await write([sample("a")], to: store)
        let query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(3_600))
        #expect(try await engine.counts(query) == (Counts(["view": 1]), false))
        #expect(try await engine.counts(query) == (Counts(["view": 1]), true))
        try await write([sample("elsewhere", at: noon + .seconds(3 * 86_400))], to: store)
        #expect(try await engine.counts(query) == (Counts(["view": 1]), true))
        try await write([sample("b")], to: store)
        #expect(try await engine.counts(query) == (Counts(["view": 2]), false))
    }

    @Test func differentQuestionsHaveDifferentKeys() async throws {
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        try await write([sample("a", project: "p"), sample("b", project: "q")], to: store)
        let hour = Duration.seconds(3_600)
        func query(_ body: (inout CountQuery) -> Void) -> CountQuery {
            var query = CountQuery(project: "p", from: noon, to: noon + hour)
            body(&query)
            return query
        }
        let queries = [
            CountQuery(project: "p", from: noon, to: noon + hour), CountQuery(project: "q", from: noon, to: noon + hour),
            CountQuery(project: "p", from: noon, to: noon + hour, grouping: .source),
            CountQuery(project: "p", from: noon, to: noon + .seconds(3_601)),
            CountQuery(project: "p", types: ["sources"], from: noon, to: noon + hour),
            CountQuery(project: "p", sources: ["sources"], from: noon, to: noon + hour),
            CountQuery(project: "p", types: ["view"], from: noon, to: noon + hour),
            CountQuery(project: "p", types: ["view", "buy"], from: noon, to: noon + hour),
            CountQuery(project: "p", types: ["view"], sources: ["web"], from: noon, to: noon + hour),
            CountQuery(project: "p", types: ["view", "sources", "web"], from: noon, to: noon + hour),
            CountQuery(project: "p", from: noon, to: noon + hour, limit: 7),
            query { $0.userIds = ["view"] }, query { $0.anonymousIds = ["view"] }, query { $0.correlationIds = ["view"] },
            query { $0.correlationIds = ["view", "buy"] },
        ]
        for query in queries { #expect(try await engine.counts(query).cached == false, "\(query)") }
        #expect(cache.keys.count == queries.count)
        #expect(try await engine.counts(CountQuery(project: "p", types: ["buy", "view"], from: noon, to: noon + hour)).cached)
    }

    @Test func differentQuestionsAboutOneSelectionHaveDifferentKeys() async throws {
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        try await write([sample("a")], to: store)
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(3_600))
        let series = ([900_000, 3_600_000] as [Int64]).map { Series(selection: selection, interval: $0, offset: 0) }
        #expect(try await engine.counts(CountQuery(selection)).cached == false)
        for series in series { #expect(try await engine.answer(to: series).cached == false) }
        #expect(cache.keys.count == 3)
        #expect(try await engine.counts(CountQuery(selection)) == (Counts(["view": 1]), true))
        for series in series { #expect(try await engine.answer(to: series) == ([series.index(of: noon): 1], true)) }
    }

    @Test func conditionsOfASelectionAreInItsKey() {
        let conditions = [
            [], [DataCondition(path: ["a"], values: ["b"])], [DataCondition(path: ["a", "b"], values: [])],
            [DataCondition(path: ["a"], values: []), DataCondition(path: ["b"], values: [])],
            [DataCondition(path: ["a"], values: ["b", "c"])],
        ]
        let keys = conditions.map { Selection(project: "p", data: $0).keyParts }
        #expect(Set(keys).count == conditions.count)
        #expect(
            Selection(project: "p", types: ["b", "a"], data: [DataCondition(path: ["a"], values: ["c", "b"])]).keyParts
                == Selection(project: "p", types: ["a", "b"], data: [DataCondition(path: ["a"], values: ["b", "c"])]).keyParts)
    }

    @Test func manyWhoAskTheSameAtOnceShareOneAnswer() async throws {
        try await write([sample("a")], to: store)
        try await roller(store).finish()
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        let (askers, reads) = (Counting(), Counting())
        store.beforeRead { name in
            if name == "generation" { _ = askers.next() }
            guard name == "rollups hour" else { return }
            _ = reads.next()
            // Not before all have asked; those who do not share would read by themselves.
            for _ in 0..<100_000 where askers.value < 10 { await Task.yield() }
            // And time for them to come from the cache, where they find nothing, to the one who reads.
            try? await Task.sleep(for: .milliseconds(300))
        }
        let query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(3_600))
        let answers = try await withThrowingTaskGroup(of: Counts.self) { group in
            for _ in 0..<10 { group.addTask { try await engine.counts(query).counts } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers == Array(repeating: Counts(["view": 1]), count: 10))
        #expect(reads.value == 1)
    }

    @Test func aCacheThatIsAwayOrHoldsNonsenseMakesNothingWrong() async throws {
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        try await write([sample("a")], to: store)
        let query = CountQuery(project: Project.default)
        cache.down(true)
        #expect(try await engine.counts(query) == (Counts(["view": 1]), false))
        cache.down(false)
        _ = try await engine.counts(query)
        for nonsense in [
            "", "[]", "{\"view\":\"1\"}", "{\"view\":1", "\u{0}", #"{"view":1}"#, #"{"v":2,"other":0,"counts":{"view":-1}}"#,
            #"{"v":1,"counts":{"view":9}}"#,
            #"{"v":2,"other":0,"counts":{"view":9223372036854775807,"buy":9223372036854775807}}"#,
        ] {
            cache.corrupt(Array(nonsense.utf8))
            #expect(try await engine.counts(query) == (Counts(["view": 1]), false), "\(nonsense)")
        }
    }

    @Test func theGenerationIsReadBeforeAnythingIsComputed() async throws {
        try await write([sample("a")], to: store)
        let order = Mutex<[String]>([])
        store.beforeRead { name in order.withLock { $0.append(name) } }
        _ = try await QueryEngine(store: store, cache: cache, gate: QueryGate()).counts(
            CountQuery(project: Project.default, from: noon - .seconds(60), to: noon + .seconds(3_601)))
        #expect(order.withLock { $0 }.first == "generation")
    }

    /// Writers go on at every point at which a reader waits for the store; what was bumped before a question was asked is in its
    /// answer, from the cache or not.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func noAnswerMissesWhatWasBumpedBeforeItWasAskedFor(seed: UInt64) async throws {
        let world = CacheWorld(seed: seed, store: store)
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        store.beforeRead { _ in await world.writeSome() }
        for _ in 0..<25 {
            let query = world.query()
            let (bumped, _) = world.counts(query)
            let (counts, cached) = try await engine.counts(query)
            let (_, inserted) = world.counts(query)
            #expect(
                counts.total >= bumped && counts.total <= inserted,
                "seed \(seed), \(query): counted \(counts.total), cached \(cached), bumped before \(bumped), inserted \(inserted)")
        }
    }
}

/// Flushes whose steps are taken when the test says so.
private final class CacheWorld: Sendable {
    private struct State {
        var random: Seeded
        var pending: [(event: Event, step: Int)] = []
        var inserted: [Event] = []
        var bumped: [Event] = []
        var number = 0
    }

    private let state: Mutex<State>
    private let store: MemoryStore

    init(seed: UInt64, store: MemoryStore) {
        state = Mutex(State(random: Seeded(seed)))
        self.store = store
    }

    func query() -> CountQuery {
        state.withLock { state in
            var query = CountQuery(project: Project.default)
            // Few different ranges, so that the cache is asked the same again; open ends among them.
            if state.random.chance(30) { query.from = noon + .seconds(state.random.below(3) * 3_600) }
            if state.random.chance(30) { query.to = noon + .seconds(86_400 + state.random.below(3) * 60) }
            return query
        }
    }

    func counts(_ query: CountQuery) -> (bumped: Int64, inserted: Int64) {
        state.withLock { state in
            func count(_ events: [Event]) -> Int64 {
                Int64(
                    events.count { event in
                        query.from.map { event.timestamp >= $0 } ?? true && query.to.map { event.timestamp < $0 } ?? true
                    })
            }
            return (count(state.bumped), count(state.inserted))
        }
    }

    func writeSome() async {
        let steps = state.withLock { $0.random.chance(50) ? $0.random.below(9) : 0 }
        for _ in 0..<steps { await writeOne() }
    }

    private func writeOne() async {
        let (event, step) = state.withLock { state in
            if state.pending.isEmpty || state.random.chance(20) {
                state.number += 1
                // Mostly later than those before: the end of what there is moves.
                let time = noon + .seconds(state.number * 600 - state.random.below(4) * 1_800)
                state.pending.append((sample("e\(state.number)", at: time), 0))
            }
            let index = state.random.below(state.pending.count)
            let taken = state.pending.remove(at: index)
            if taken.step < 3 { state.pending.append((taken.event, taken.step + 1)) }
            if taken.step == 0 { state.inserted.append(taken.event) }
            return taken
        }
        let minute = BucketKey(project: event.project, index: event.timestamp.minute)
        switch step {
        case 0: _ = try? await store.insert([stored(event)])
        case 1: try? await store.mark(.minute, [minute])
        case 2: try? await store.mark(.hour, [minute.hour])
        default:
            try? await store.bumpGenerations([BucketKey(project: event.project, index: event.timestamp.day)])
            state.withLock { $0.bumped.append(event) }
        }
    }
}
