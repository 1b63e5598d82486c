import TestSupport
import Testing

@testable import AnalyticsCore

/// What is asked about the present minute is read on between two questions.
@Suite(.timeLimit(.minutes(2)))
struct LiveMinuteKeeperTests {
    private let store = MemoryStore()
    private let clock = ManualClock()
    private let engine: QueryEngine
    /// The second minute of the hour.
    private static let next = noon + .seconds(60)

    init() {
        engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate(), largeMinute: 50, elapsed: clock.elapsed)
    }

    private func flush(_ count: Int, from start: Timestamp, named name: String) async throws {
        let events = (0..<count).map { number in
            var event = sample("\(name)-\(number)", at: start + .milliseconds(number * 100))
            event.userId = "u\(number % 7)"
            return stored(event)
        }
        var marks = BucketMarks()
        for (event, outcome) in zip(events, try await store.insert(events)) { marks.touch(event, outcome) }
        try await marks.write(to: store)
    }

    private func users(from start: Timestamp = noon) async throws -> Int64? {
        let query = TimeseriesQuery(
            Selection(project: Project.default, from: start, to: noon + .seconds(120)), metric: .users, starts: [start])
        guard case .integer(let users) = try await engine.timeseries(query).answer.total else { return nil }
        return users
    }

    private func total(from start: Timestamp = noon) async throws -> Int64 {
        try await engine.counts(CountQuery(project: Project.default, from: start, to: noon + .seconds(120))).counts.total
    }

    /// What somebody has asked, while the first minute was the present one.
    private func askTwice() async throws {
        for number in 0..<2 {
            try await flush(100, from: noon + .seconds(number * 30), named: "first-\(number)")
            _ = try await users()
            _ = try await total()
        }
    }

    /// By two flushes: a minute that one has made does not say which parts it has changed.
    private func fillNext() async throws {
        try await flush(150, from: Self.next, named: "second")
        try await flush(1, from: Self.next + .seconds(20), named: "again")
    }

    @Test("the next question finds a new minute read, but for what has come since")
    func readOn() async throws {
        try await askTwice()
        try await fillNext()
        await engine.keepUp(at: Self.next + .seconds(31))
        try await flush(1, from: Self.next + .seconds(45), named: "third")
        let (scanned, counted) = (store.scannedEvents, store.countedRanges.count)
        #expect(try await users() == 7)
        #expect(try await total() == 352)
        #expect(store.scannedEvents - scanned < 20)
        #expect(store.countedRanges.dropFirst(counted) == [Self.next + .seconds(45)..<Self.next + .seconds(46)])
    }

    @Test("events that come late into what was read on are in the answer")
    func late() async throws {
        try await askTwice()
        try await fillNext()
        await engine.keepUp(at: Self.next + .seconds(31))
        try await flush(3, from: noon + .seconds(7), named: "late")
        try await flush(2, from: Self.next + .seconds(3), named: "later")
        #expect(try await total() == 356)
        await engine.keepUp(at: Self.next + .seconds(33))
        #expect(try await total() == 356)
    }

    @Test("nothing is read on once nobody has asked for a minute, or has asked for none with many events")
    func nobody() async throws {
        try await flush(10, from: noon, named: "few")
        _ = try await users()
        _ = try await total()
        var queries = store.queries
        await engine.keepUp(at: noon + .seconds(10))
        #expect(store.queries == queries)

        try await askTwice()
        clock.advance(by: LiveInterest.lasts)
        try await fillNext()
        queries = store.queries
        await engine.keepUp(at: Self.next + .seconds(31))
        #expect(store.queries == queries)
    }

    @Test("a minute with few events is no reason to read on, whatever the one before it had")
    func fewAfterMany() async throws {
        try await askTwice()
        try await flush(10, from: Self.next, named: "few")
        await engine.keepUp(at: Self.next + .seconds(5))
        try await flush(1, from: Self.next + .seconds(20), named: "again")
        clock.advance(by: LiveInterest.lasts - .seconds(1))
        #expect(try await users(from: Self.next) == 7)
        #expect(try await total(from: Self.next) == 11)
        clock.advance(by: .seconds(1))
        let queries = store.queries
        await engine.keepUp(at: Self.next + .seconds(31))
        #expect(store.queries == queries)
    }

    @Test("of many projects those that were asked about last are read on")
    func projects() {
        let interest = LiveInterest(elapsed: clock.elapsed)
        for number in 0..<40 {
            clock.advance(by: .milliseconds(1))
            interest.note(ProjectID("p\(number)"), .counts)
        }
        #expect(Set(interest.projects(.counts).map(\.name)) == Set((24..<40).map { "p\($0)" }))
        #expect(interest.projects(.rows).isEmpty)
    }
}
