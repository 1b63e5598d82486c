import TestSupport
import Testing

@testable import AnalyticsCore

/// What segments hold is what the events say, whatever happens while they are built.
@Suite(.timeLimit(.minutes(5)))
struct SegmentBuilderTests {
    private let faults: Faults
    private let store: MemoryStore
    private let clock = ManualClock()

    init() {
        faults = Faults()
        store = MemoryStore(faults: faults)
    }

    private func builder(at now: Timestamp = noon + .seconds(30 * 86_400), chunkRows: Int = 3) -> SegmentBuilder {
        SegmentBuilder(store: store, clock: .fixed(now), elapsed: clock.elapsed, chunkRows: chunkRows, logger: quiet)
    }

    private func event(_ random: inout Seeded, _ id: Int) -> Event {
        var event = sample(
            "e\(id)", type: "t\(random.below(3))", source: "s\(random.below(2))",
            at: noon + .milliseconds(random.chance(30) ? random.below(3) * 60_000 : random.below(3 * 86_400_000)),
            data: #"{"plan":"p\#(random.below(3))"}"#)
        event.userId = random.chance(60) ? "u\(random.below(9))" : nil
        event.anonymousId = random.chance(40) ? "a\(random.below(4))" : nil
        return event
    }

    private func users(_ engine: QueryEngine) async throws -> MetricValue? {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(3 * 86_400))
        let query = TimeseriesQuery(selection, metric: .users, starts: [noon])
        return try await engine.timeseries(query).answer.total
    }

    private var truth: MetricValue {
        let actors = store.events.map { $0.event.userId.map { "u \($0)" } ?? $0.event.anonymousId.map { "a \($0)" } }
        return .integer(Int64(Set(actors.compactMap(\.self)).count))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func crashesAndEventsInBetweenLeaveNothingWrong(seed: UInt64) async throws {
        var random = Seeded(seed)
        var next = 0
        var builders = [builder(), builder()]
        for _ in 0..<6 {
            let news = (0..<1 + random.below(30)).map { event(&random, next + $0) }
            next += news.count
            try await write(news, to: store)
            if random.chance(30) {
                try await store.setProperties(of: Project.default, to: random.chance(50) ? [PropertyPath("data.plan")] : [])
            }
            // Events that come while a builder is between two of its steps.
            let (at, more) = (random.below(12), random.chance(50) ? [event(&random, next)] : [])
            next += more.count
            let steps = Counting()
            store.beforeRead { [store] _ in if steps.next() == at + 1 { try? await write(more, to: store) } }
            if random.chance(50) { faults.crash(afterMoments: random.below(24)) }
            _ = try? await builders[random.below(2)].pass(everything: random.chance(70))
            store.beforeRead(nil)
            if faults.hasCrashed {
                faults.revive()
                // The broker delivers again what was not acknowledged.
                try await write(more, to: store)
                builders[random.below(2)] = builder()
            }
            clock.advance(by: .seconds(random.below(60)))
            let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
            #expect(try await users(engine) == truth, "seed \(seed)")
            #expect(try await SegmentCheck(store: store).run().differences == [], "seed \(seed)")
        }
        // What a crash has left behind is there until it can belong to nobody.
        let later = builder(at: noon + .seconds(60 * 86_400))
        try await later.finish()
        try await later.finish()
        try await builder(at: noon + .seconds(90 * 86_400)).finish()
        let report = try await SegmentCheck(store: store).run()
        #expect(report.differences == [] && report.stale == 0 && report.events == Int64(store.events.count), "seed \(seed)")
        #expect(store.unnamedBlobs() == 0, "seed \(seed)")
        let ends = store.heads.map { "\($0.builds.count) \($0.leftovers)" }
        #expect(store.heads.allSatisfy { !$0.wantsJoining(isAtRest: true) && $0.leftovers.isEmpty }, "seed \(seed): \(ends)")
        let scans = Counting()
        store.beforeRead { name in if name == "scanEvents" { scans.next() } }
        #expect(try await users(QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())) == truth)
        #expect(scans.value == 0, "seed \(seed)")
    }

    @Test func twoThatBuildTheSameDayLeaveOneSegment() async throws {
        var random = Seeded(3)
        try await write((0..<200).map { event(&random, $0) }, to: store)
        let builders = (0..<4).map { _ in builder() }
        for _ in 0..<3 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for builder in builders { group.addTask { try await builder.finish() } }
                try await group.waitForAll()
            }
        }
        try await builder(at: noon + .seconds(60 * 86_400)).finish()
        try await builder(at: noon + .seconds(90 * 86_400)).finish()
        #expect(try await SegmentCheck(store: store).run().differences == [])
        #expect(store.unnamedBlobs() == 0)
    }

    @Test func minutesThatAreNotOverAreLeftUntilTheyAre() async throws {
        var random = Seeded(1)
        func live(_ id: Int, _ seconds: Int) -> Event {
            var event = event(&random, id)
            event.timestamp = noon + .seconds(seconds)
            return event
        }
        try await write([live(1, 0), live(2, 300)], to: store)
        let present = builder(at: noon + .seconds(310))
        try await present.pass()
        let head = try #require(store.heads.first)
        #expect(head.runs[720] >= 0 && head.runs[725] == -1 && head.dayVersion == 0)
        // At rest from one pass to the next.
        clock.advance(by: .seconds(2))
        #expect(try await present.pass())
        #expect(store.heads.first.map { $0.runs[725] >= 0 && $0.dayVersion != 0 } == true)
    }

    @Test func aDayThatGoesOnChangingIsBuiltSeldom() async throws {
        var random = Seeded(2)
        let builder = builder()
        var revisions: [Int64] = []
        for second in 0..<60 {
            var event = event(&random, second)
            event.timestamp = noon
            try await write([event], to: store)
            try await builder.pass()
            revisions.append(store.heads.isEmpty ? 0 : store.headRevisions)
            clock.advance(by: .seconds(1))
        }
        #expect(Set(revisions).count < 20)
    }

    @Test func damagedSegmentsAreReadFromTheEventsAndMadeAnew() async throws {
        var random = Seeded(4)
        try await write((0..<100).map { event(&random, $0) }, to: store)
        try await builder().finish()
        store.damageBlobs(&random)
        #expect(try await SegmentCheck(store: store).run().differences.isEmpty == false)
        #expect(try await users(QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())) == truth)
        store.damageHeads()
        #expect(try await users(QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())) == truth)
        try await write([event(&random, 200)], to: store)
        try await builder().finish()
        #expect(try await users(QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())) == truth)
    }

    @Test func blobsThatAreLostAreReadFromTheEventsAndMadeAnew() async throws {
        var random = Seeded(6)
        try await write((0..<100).map { event(&random, $0) }, to: store)
        try await builder().finish()
        store.removeBlobs(&random)
        func engine() -> QueryEngine { QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()) }
        #expect(try await users(engine()) == truth)
        try await write((100..<110).map { event(&random, $0) }, to: store)
        try await builder().finish()
        #expect(try await users(engine()) == truth)
    }

    @Test func aFewThatComeLateAreLeftBesideTheOthers() async throws {
        var random = Seeded(7)
        func at(_ id: Int, _ minute: Int) -> Event {
            var event = event(&random, id)
            event.timestamp = noon + .seconds(minute * 60)
            return event
        }
        try await write((0..<100).map { at($0, $0 % 10) }, to: store)
        let builder = builder()
        try await builder.finish()
        try await write([at(200, 20)], to: store)
        try await builder.finish()
        #expect(store.heads.map(\.builds.count) == [2])
        try await write((300..<340).map { at($0, 30) }, to: store)
        try await builder.finish()
        #expect(store.heads.map(\.builds.count) == [1])
    }

    @Test func linksOfDeletedEventsAreForgotten() async throws {
        func identify(_ id: String, _ seconds: Int, _ user: String) -> Event {
            var event = sample(id, type: "$identify", at: noon + .seconds(seconds))
            (event.userId, event.anonymousId) = (user, "d")
            return event
        }
        var view = sample("v", at: noon + .seconds(2 * 86_400))
        view.anonymousId = "d"
        var own = sample("w", at: noon + .seconds(2 * 86_400))
        own.userId = "ann"
        try await write([identify("i", 60, "ann"), identify("j", 3 * 86_400, "bob"), view, own], to: store)
        try await builder().finish()
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        func count() async throws -> MetricValue {
            let (from, to) = (noon + .seconds(2 * 86_400), noon + .seconds(2 * 86_400 + 60))
            let query = TimeseriesQuery(Selection(project: Project.default, from: from, to: to), metric: .users, starts: [from])
            return try await engine.timeseries(query).answer.total
        }
        #expect(try await count() == .integer(1))
        // The day of the first link is cut in its middle.
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(120))
        #expect(try await count() == .integer(2))
        while try await store.deleteExpiredEvents(of: Project.default, limit: 10) > 0 {}
        let another = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let query = TimeseriesQuery(
            Selection(project: Project.default, from: noon + .seconds(2 * 86_400), to: noon + .seconds(2 * 86_400 + 60)), metric: .users,
            starts: [noon + .seconds(2 * 86_400)])
        #expect(try await another.timeseries(query).answer.total == .integer(2))
    }

    @Test func segmentsOfExpiredDaysAreDeleted() async throws {
        var random = Seeded(5)
        try await write((0..<100).map { event(&random, $0) }, to: store)
        let builder = builder()
        try await builder.finish()
        let days = store.heads.count
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(86_400))
        try await builder.finish()
        #expect(store.heads.count == days - 1 && store.heads.allSatisfy { $0.day >= (noon + .seconds(86_400)).day })
        #expect(store.unnamedBlobs() == 0)
    }
}

extension MemoryStore {
    fileprivate var heads: [SegmentHead] {
        storedHeads.compactMap { try? SegmentHead(day: $0.day, encoded: $0.bytes) }
    }

    fileprivate var headRevisions: Int64 { storedHeads.reduce(0) { $0 + $1.revision } }

    /// Blobs that no head names.
    fileprivate func unnamedBlobs() -> Int {
        let named = Set(heads.flatMap { head in head.builds.map(\.id) + head.leftovers.map(\.run) })
        return blobKeys.count { !named.contains($0.run) }
    }

    fileprivate func damageBlobs(_ random: inout Seeded) {
        for key in blobKeys where random.chance(50) { editBlob(key) { $0 = Array($0.dropLast()) } }
    }

    fileprivate func removeBlobs(_ random: inout Seeded) {
        for key in blobKeys where random.chance(20) { removeBlob(key) }
    }

    fileprivate func damageHeads() { editHeads { $0 = Array($0.dropLast()) } }
}
