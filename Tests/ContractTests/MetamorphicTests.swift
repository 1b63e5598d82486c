import TestSupport
import Testing

@testable import AnalyticsCore

/// What must hold between answers, whatever they are: no count one by one is needed. On every store.
@Suite("Metamorphic: questions about users", .timeLimit(.minutes(5)))
struct MetamorphicTests {
    private static let week: Int64 = 7 * 86_400_000

    private struct Desk {
        var store: any Store
        var engine: QueryEngine
        var random: Seeded

        init(_ store: any Store, seed: UInt64) {
            self.store = store
            engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
            random = Seeded(seed)
        }

        /// Writes events into a project; half of the time as segments hold them.
        mutating func write(
            _ events: [Event], to project: ProjectID, later: Int64 = 0, renaming suffix: String = "", again: String = ""
        ) async throws {
            let stored = events.map { event in
                var event = event
                event.project = project
                event.timestamp = Timestamp(milliseconds: event.timestamp.milliseconds + later)
                event.id += suffix
                event.ingestID += suffix + again
                event.userId = event.userId.map { $0 + suffix }
                event.anonymousId = event.anonymousId.map { $0 + suffix }
                return StoredEvent(event: event, processedAt: event.receivedAt, context: nil, fingerprint: event.fingerprint)
            }
            let outcomes = try await store.insert(stored)
            var marks = BucketMarks(at: noon)
            for (event, outcome) in zip(stored, outcomes) { marks.touch(event, outcome) }
            try await marks.write(to: store)
            guard random.chance(50) else { return }
            try await SegmentBuilder(store: store, clock: .fixed(noon + .seconds(9 * 86_400)), logger: quiet).finish()
        }
    }

    private static func log(_ random: inout Seeded, _ prefix: String = "e") -> [Event] {
        var histories = Histories()
        histories.sessions = ["s1", "s2"]
        histories.values = [nil, #""a""#, #""b""#, "1"]
        histories.pauses = [0, 1_800_000, 1_800_001, 60_000, 86_400_000]
        return histories.events(prefix, count: 60 + random.below(60), &random)
    }

    private func each(_ backend: StoreBackend, _ body: (inout Desk) async throws -> Void) async throws {
        for seed in 0..<(backend == .memory ? 12 : 3) as Range<UInt64> {
            try await withStore(backend) { store in
                var desk = Desk(store, seed: seed)
                try await body(&desk)
            }
        }
    }

    private static let age = AnswerAge(now: noon + .seconds(9 * 86_400), limit: .zero)
    private static let range = Timestamp(day: noon.day)..<Timestamp(day: noon.day + 6)
    private static let calendar = BucketCalendar(interval: .day, rules: .utc)

    private static func selection(_ project: ProjectID, _ range: Range<Timestamp> = range) -> Selection {
        Selection(project: project, from: range.lowerBound, to: range.upperBound)
    }

    private static func starts(_ range: Range<Timestamp>) -> [Timestamp] { calendar.starts(in: range, limit: 100) ?? [] }

    // MARK: Questions

    private static func funnel(_ project: ProjectID, _ order: FunnelQuery.Order) -> FunnelQuery {
        let steps = [EventPattern(types: ["t0"]), EventPattern(types: ["t1"]), EventPattern(types: ["t0", "t2"])]
        return FunnelQuery(selection(project), steps: steps, order: order, windowSeconds: 90_000)
    }

    private static func retention(_ project: ProjectID, _ range: Range<Timestamp> = range, ever: Bool = true) -> RetentionQuery {
        let ends = (0..<3).map { range.upperBound + .seconds($0 * 86_400) }
        return RetentionQuery(
            selection(project, range), first: EventPattern(types: ["t0"]), firstEver: ever, returning: EventPattern(), mode: .on,
            periods: 3,
            starts: starts(range) + ends)
    }

    private static func lifecycle(_ project: ProjectID, _ range: Range<Timestamp> = range) -> LifecycleQuery {
        LifecycleQuery(selection(project), starts: [range.lowerBound - .seconds(86_400)] + starts(range) + [range.upperBound])
    }

    private static func paths(_ project: ProjectID, _ range: Range<Timestamp> = range, _ scope: PathsQuery.Scope = .usual) -> PathsQuery {
        PathsQuery(selection(project, range), from: ["t0"], limit: 100, within: scope)
    }

    private static func sessions(_ project: ProjectID, _ range: Range<Timestamp> = range) throws -> SessionsQuery {
        SessionsQuery(selection(project, range), page: try PropertyPath("data.page"), limit: 100, starts: starts(range))
    }

    /// All there are, by what does not name a project.
    private static func everything(_ engine: QueryEngine, _ project: ProjectID, later: Int64 = 0) async throws -> [String] {
        let range =
            Timestamp(milliseconds: range.lowerBound.milliseconds + later)..<Timestamp(milliseconds: range.upperBound.milliseconds + later)
        var funnel = funnel(project, .ordered)
        (funnel.selection.from, funnel.selection.to) = (range.lowerBound, range.upperBound)
        let age = Self.age
        return [
            "\(try await engine.funnel(funnel, age, for: .staying).answer)",
            "\(try await engine.retention(retention(project, range), age, for: .staying).answer)",
            "\(try await engine.sessions(sessions(project, range), age, for: .staying).answer)",
            "\(try await engine.lifecycle(lifecycle(project, range), age, for: .staying).answer)",
            "\(try await engine.stickiness(StickinessQuery(selection(project, range), starts: starts(range)), age, for: .staying).answer)",
            "\(try await engine.paths(paths(project, range), age, for: .staying).answer)",
            "\(try await engine.paths(paths(project, range, .window(seconds: 90_000)), age, for: .staying).answer)",
        ]
    }

    // MARK: Relations

    @Test("funnels, lifecycles and paths of two logs of different users add up", arguments: StoreBackend.available)
    func disjoint(backend: StoreBackend) async throws {
        try await each(backend) { desk in
            let (one, other) = (Self.log(&desk.random), Self.log(&desk.random))
            try await desk.write(one, to: "a")
            try await desk.write(other, to: "b", renaming: "-")
            try await desk.write(one, to: "ab")
            try await desk.write(other, to: "ab", renaming: "-")
            let engine = desk.engine
            for order in FunnelQuery.Order.allCases {
                func users(_ project: ProjectID) async throws -> [Int64] {
                    try await engine.funnel(Self.funnel(project, order), Self.age, for: .staying).answer.steps.map(\.users)
                }
                let (a, b, both) = (try await users("a"), try await users("b"), try await users("ab"))
                #expect(zip(a, b).map(+) == both, "\(order)")
            }
            func numbers(_ project: ProjectID) async throws -> [Int64] {
                let lifecycle = try await engine.lifecycle(Self.lifecycle(project), Self.age, for: .staying).answer
                let paths = try await engine.paths(Self.paths(project), Self.age, for: .staying).answer
                let stickiness = try await engine.stickiness(
                    StickinessQuery(Self.selection(project), starts: Self.starts(Self.range)), Self.age, for: .staying
                ).answer
                return lifecycle.users.flatMap(\.self) + stickiness.exactly + paths.steps.flatMap { [$0.count.paths, $0.count.users] }
            }
            let (a, b, both) = (try await numbers("a"), try await numbers("b"), try await numbers("ab"))
            #expect(zip(a, b).map(+) == both)
        }
    }

    @Test("whole weeks later all answers are the same", arguments: StoreBackend.available)
    func shifted(backend: StoreBackend) async throws {
        try await each(backend) { desk in
            let log = Self.log(&desk.random)
            try await desk.write(log, to: "a")
            try await desk.write(log, to: "late", later: 3 * Self.week)
            let engine = desk.engine
            #expect(try await Self.everything(engine, "a") == Self.everything(engine, "late", later: 3 * Self.week))
        }
    }

    @Test("events that are sent again change nothing", arguments: StoreBackend.available)
    func doubled(backend: StoreBackend) async throws {
        try await each(backend) { desk in
            let log = Self.log(&desk.random)
            try await desk.write(log, to: "a")
            let before = try await Self.everything(desk.engine, "a")
            try await desk.write(log.filter { _ in desk.random.chance(60) }, to: "a", again: "-again")
            // Computed anew: each mark has raised a generation.
            #expect(try await Self.everything(desk.engine, "a") == before)
        }
    }

    @Test("the parts of a range add up", arguments: StoreBackend.available)
    func parts(backend: StoreBackend) async throws {
        try await each(backend) { desk in
            try await desk.write(Self.log(&desk.random), to: "a")
            let engine = desk.engine
            let middle = Self.range.lowerBound + .seconds(86_400 * (1 + desk.random.below(5)))
            let (first, second) = (Self.range.lowerBound..<middle, middle..<Self.range.upperBound)
            func whole<Answer>(_ ask: (Range<Timestamp>) async throws -> Answer) async throws -> (Answer, Answer, Answer) {
                (try await ask(first), try await ask(second), try await ask(Self.range))
            }
            let sessions = try await whole { try await engine.sessions(Self.sessions("a", $0), Self.age, for: .staying).answer }
            #expect(sessions.0.buckets + sessions.1.buckets == sessions.2.buckets)
            let cohorts = try await whole { try await engine.retention(Self.retention("a", $0), Self.age, for: .staying).answer.cohorts }
            #expect(cohorts.0 + cohorts.1 == cohorts.2)
            let states = try await whole { try await engine.lifecycle(Self.lifecycle("a", $0), Self.age, for: .staying).answer.users }
            #expect(zip(states.0, states.1).map(+) == states.2)
            let paths = try await whole {
                try await engine.paths(Self.paths("a", $0), Self.age, for: .staying).answer.steps.map(\.count.paths)
            }
            #expect(zip(paths.0, paths.1).map(+) == paths.2)
        }
    }

    @Test("who is behind the numbers of a lifecycle and of uniques is each user once", arguments: StoreBackend.available)
    func people(backend: StoreBackend) async throws {
        try await each(backend) { desk in
            try await desk.write(Self.log(&desk.random), to: "a")
            let engine = desk.engine
            let uniques = TimeseriesQuery(Self.selection("a"), metric: .users, starts: Self.starts(Self.range))
            func people(_ page: PeoplePage) async throws -> People {
                try await engine.people(
                    behind: UniquesCell(bucket: nil), of: uniques, in: Self.range, page, Self.age, for: .staying
                ).answer
            }
            let all = try await people(PeoplePage())
            let total = try await engine.timeseries(uniques, Self.age, for: .staying).answer.total
            #expect(all.total == Int64(all.people.count) && total == .integer(all.total) && !all.hasMore)
            var (paged, page): ([People.Person], PeoplePage) = ([], PeoplePage(limit: 1))
            repeat {
                let next = try await people(page)
                paged += next.people
                page.after = next.next
            } while page.after != nil
            #expect(paged == all.people)
            // In each bucket each of them is in one state, or in none.
            let lifecycle = Self.lifecycle("a")
            for bucket in 0..<lifecycle.buckets {
                var names: [ActorKey] = []
                for state in Lifecycle.State.allCases {
                    let cell = LifecycleCell(bucket: bucket, state: state)
                    names += try await engine.people(
                        behind: cell, of: lifecycle, in: Self.range, PeoplePage(), Self.age, for: .staying
                    ).answer.people.map(\.key)
                }
                #expect(Set(names).count == names.count)
            }
        }
    }
}
