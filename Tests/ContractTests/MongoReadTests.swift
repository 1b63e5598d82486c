import AnalyticsAPI
import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsMongoDB

/// What each kind of question makes the server read, by its profiler: documents, index keys and bytes, beside a live hour. `scripts/bench.sh reads`
/// does the same at 5 million events.
@Suite("MongoDB store: what questions read", .enabled(if: ProcessInfo.processInfo.environment["TEST_MONGODB_URI"] != nil))
struct MongoReadTests {
    private static let project: ProjectID = "default"
    private static let days: Int64 = 30
    private static let events = 20_000
    /// Minutes of the live hour that are marked, and the events in them.
    private static let live = (minutes: 3, events: 300)
    private static let first = Timestamp(day: noon.day - days + 1)
    /// In the live hour of the last day.
    private static let now = noon + .seconds(8 * 3600 + 300)

    /// What a question may read.
    struct Bound {
        var documents: Int64
        var keys: Int64
        var bytes: Int64
    }

    struct Case: CustomTestStringConvertible {
        var name: String
        var uri: String
        var bound: Bound

        var testDescription: String { name }
    }

    private static let range = "from=\(first.rfc3339)&to=\((Timestamp(day: noon.day + 1)).rfc3339)"

    /// Days but the last, hours of that one, minutes of the live hour, and the events of marked minutes, of which an index tells types and sources.
    private static let rolled = Bound(
        documents: days + 24 + 60, keys: days + 24 + 60 + Int64(live.events) + 40, bytes: (days + 24 + 60) * 500)
    /// The versions of days (an index), heads, the versions of the last day's minutes, chunks of runs with their columns, and the events that no
    /// segment has.
    private static let rows = Bound(
        documents: days * 17 + 153 + Int64(live.events), keys: days * 20 + 153 * 2 + Int64(live.events) * 3, bytes: Int64(events) * 45)
    private static let hourly = Bound(documents: days * 24 + 60, keys: days * 24 + 60 + 400, bytes: (days * 24 + 60) * 500)
    private static let day = events / Int(days)

    private static let cases = [
        Case(name: "counts by type", uri: "/api/v1/events/counts?\(range)", bound: rolled),
        Case(name: "counts of one source", uri: "/api/v1/events/counts?\(range)&groupBy=source&source=s1", bound: rolled),
        Case(name: "counts of all there is", uri: "/api/v1/events/counts", bound: rolled),
        Case(
            name: "events by hour", uri: "/api/v1/analytics/timeseries?\(range)&interval=hour",
            bound: hourly),
        Case(
            name: "events by day and type, in another zone", uri: "/api/v1/analytics/timeseries?\(range)&groupBy=type&tz=Asia/Kathmandu",
            bound: hourly),
        Case(name: "top by type", uri: "/api/v1/analytics/topn?\(range)&dimension=type", bound: rolled),
        Case(name: "users by day", uri: "/api/v1/analytics/uniques?\(range)", bound: rows),
        Case(name: "top of a configured property", uri: "/api/v1/analytics/topn?\(range)&dimension=data.plan", bound: rows),
        Case(
            name: "top of a configured property by users", uri: "/api/v1/analytics/topn?\(range)&dimension=data.plan&metric=users",
            bound: rows),
        Case(name: "sum of a configured property", uri: "/api/v1/analytics/timeseries?\(range)&metric=sum(data.amount)", bound: rows),
        Case(name: "events of one user", uri: "/api/v1/analytics/timeseries?\(range)&userId=u7", bound: rows),
        Case(
            name: "top of another property over a day",
            uri:
                "/api/v1/analytics/topn?from=\(Timestamp(day: noon.day - 9).rfc3339)&to=\(Timestamp(day: noon.day - 8).rfc3339)&dimension=data.page",
            bound: Bound(documents: Int64(day) + 160, keys: Int64(day) + 160, bytes: Int64(day) * 400)),
        Case(
            name: "the newest events", uri: "/api/v1/events?limit=100", bound: Bound(documents: 101, keys: 101, bytes: 101 * 600)),
        Case(
            name: "the newest events of a type and a user", uri: "/api/v1/events?limit=50&type=t3&userId=u7&\(range)",
            bound: Bound(documents: 60, keys: 60, bytes: 51 * 600)),
        Case(
            name: "Graphite: events by type",
            uri:
                "/graphite/render?target=default.*.*&from=\(first.milliseconds / 1000)&until=\(now.milliseconds / 1000)&format=json&maxDataPoints=100",
            bound: hourly),
        Case(
            name: "Graphite: users",
            uri:
                "/graphite/render?target=default.~users&from=\(first.milliseconds / 1000)&until=\(now.milliseconds / 1000)&format=json&maxDataPoints=100",
            bound: rows),
    ]

    @Test("no question scans a collection, or reads more than its range needs", .timeLimit(.minutes(5)))
    func reads() async throws {
        try await withProfiledDatabase { writer, questions async throws in
            try await fill(writer)
            let asked = Asked(store: questions, now: Self.now)
            var seen = Timestamp(milliseconds: 0)
            for one in Self.cases {
                try await writer.profile(2)
                // Questions differ: nothing comes from a cache.
                _ = try await asked.ask(one.uri)
                try await writer.profile(0)
                let (read, last) = try await writer.profiled(after: seen)
                seen = last
                #expect(!read.isEmpty && !read.plans.contains { $0.contains("COLLSCAN") }, "\(one.name): \(read.plans)")
                #expect(read.documents <= one.bound.documents, "\(one.name): \(read)")
                #expect(read.keys <= one.bound.keys, "\(one.name): \(read)")
                #expect(read.bytes <= one.bound.bytes, "\(one.name): \(read)")
                if ProcessInfo.processInfo.environment["TEST_SHOW_READS"] != nil { print(one.name, read, one.bound) }
            }
        }
    }

    @Test("whose devices are erased is read from the events that say so, and no others", .timeLimit(.minutes(2)))
    func identities() async throws {
        try await withProfiledDatabase { writer, questions async throws in
            let others = (0..<3_000).map { number in
                stored(
                    "e\(number)", project: Self.project, type: "t\(number % 20)", at: Self.first + .seconds(number * 600),
                    userId: "u\(number % 50)", anonymousId: "d\(number % 50)")
            }
            let links = (0..<30).map { number in
                stored(
                    "i\(number)", project: Self.project, type: "$identify", at: Self.first + .seconds(number * 60_000),
                    userId: "u\(number % 10)", anonymousId: "d\(number)")
            }
            for first in stride(from: 0, to: 3_000, by: 1_000) { try await write(Array(others[first..<first + 1_000]), to: writer) }
            try await write(links, to: writer)
            try await writer.profile(2)
            let ids = try await ErasureIdentities(store: questions).anonymousIds(of: ["u7"], and: [], in: Self.project)
            try await writer.profile(0)
            let (read, _) = try await writer.profiled(after: Timestamp(milliseconds: 0))
            #expect(Set(ids ?? []) == ["d7", "d17", "d27"])
            // The user's 63 events or all links, and the links of three devices.
            #expect(!read.isEmpty && read.documents <= 63 + 30 + 1 && read.keys <= 2 * 63 + 30 + 10, "\(read)")
            #expect(!read.plans.contains { $0.contains("COLLSCAN") }, "\(read.plans)")
        }
    }

    @Test("of a large minute only the events around those of the last flush are read", .timeLimit(.minutes(5)))
    func liveMinute() async throws {
        try await withProfiledDatabase { writer, questions async throws in
            try await writer.createRecord(of: Self.project, retentionDays: 0, at: noon)
            func events(_ name: String, _ count: Int, from second: Double, to end: Double) -> [StoredEvent] {
                (0..<count).map { number in
                    let time = noon + .milliseconds(Int64((second + (end - second) * Double(number) / Double(count)) * 1_000))
                    return stored("\(name)\(number)", project: Self.project, at: time, userId: "u\(number % 700)")
                }
            }
            try await write(events("old", 100, from: -3_600, to: -3_000), to: writer)
            try await SegmentBuilder(store: writer, clock: .fixed(noon), logger: quiet).finish()
            try await write(events("live", 3_000, from: 0, to: 30), to: writer)
            let engine = QueryEngine(store: questions, cache: UnboundedCache(), gate: QueryGate())
            var (seen, documents): (Timestamp, [Int64]) = (Timestamp(milliseconds: 0), [])
            for round in 0..<4 {
                try await write(events("more\(round)-", 10, from: 40, to: 40.2), to: writer)
                let selection = Selection(project: Self.project, from: noon, to: noon + .seconds(60))
                let live = 3_000 + 10 * Int64(round + 1)
                try await writer.profile(2)
                let users = try await engine.timeseries(TimeseriesQuery(selection, metric: .users, starts: [noon])).answer.total
                let counts = try await engine.counts(CountQuery(selection, grouping: .type)).counts.total
                try await writer.profile(0)
                #expect(users == .integer(700) && counts == live)
                let (read, last) = try await writer.profiled(after: seen)
                (seen, documents) = (last, documents + [read.documents])
                if round > 1 { #expect(read.documents < 200 && read.keys < 400, "\(round): \(read)") }
            }
            // The first finds that it is large, and the second keeps it.
            #expect(documents[0] > 3_000 && documents[1] > 3_000)
        }
    }

    /// A month that is rolled and has segments, and after it a live hour with marked minutes.
    private func fill(_ store: MongoStore) async throws {
        try await store.createRecord(of: Self.project, retentionDays: 0, at: noon)
        try await store.setProperties(of: Self.project, to: ["data.plan", "data.amount"].map { try PropertyPath($0) })
        var random = Seeded(11)
        func event(_ number: Int, at time: Timestamp) -> StoredEvent {
            stored(
                "e\(number)", project: Self.project, type: "t\(random.below(20))", source: "s\(random.below(4))", at: time,
                data: #"{"plan":"p\#(random.below(4))","page":"/\#(random.below(300))","amount":\#(random.below(900))}"#,
                userId: "u\(random.below(500))")
        }
        for first in stride(from: 0, to: Self.events, by: 2_000) {
            let events = (first..<first + 2_000).map { number in
                // 150 minutes of a day, up to eight o'clock in the evening.
                let day = Int64(number) * Self.days / Int64(Self.events)
                return event(number, at: Self.first + .seconds(Int(day) * 86_400 + random.below(150) * 480 + random.below(60)))
            }
            try await write(events, to: store)
        }
        try await Roller(store: store, logger: quiet).finish()
        try await SegmentBuilder(store: store, clock: .fixed(Self.now), logger: quiet).finish()
        let hour = noon + .seconds(8 * 3600)
        let events = (0..<Self.live.events).map { number in
            event(Self.events + number, at: hour + .seconds(60 * (number % Self.live.minutes) + random.below(60)))
        }
        for part in [0..<100, 100..<200, 200..<300] { try await write(Array(events[part]), to: store) }
    }

    private func write(_ events: [StoredEvent], to store: MongoStore) async throws {
        var marks = BucketMarks()
        for (event, outcome) in zip(events, try await store.insert(events)) { marks.touch(event, outcome) }
        try await marks.write(to: store)
    }

    private func withProfiledDatabase(_ body: (MongoStore, MongoStore) async throws -> Void) async throws {
        let uri = try #require(ProcessInfo.processInfo.environment["TEST_MONGODB_URI"])
        let database = "test_" + UUID().uuidString.prefix(18)
        let writer = try MongoStore(uri: uri, database: database, poolSize: 4, logger: quiet)
        let questions = try MongoStore(uri: uri, database: database, poolSize: 4, questionTimeout: .seconds(60), logger: quiet)
        let result: Result<Void, any Error>
        do {
            try await writer.prepare()
            try await writer.makeProfile()
            result = .success(try await body(writer, questions))
        } catch {
            result = .failure(error)
        }
        try? await writer.profile(0)
        try? await writer.dropDatabase()
        await questions.shutdown()
        await writer.shutdown()
        try result.get()
    }
}

/// What the profiler has seen of questions.
private struct Profile: Sendable, CustomStringConvertible {
    var plans: Set<String> = []
    var operations: Int64 = 0
    var documents: Int64 = 0
    var keys: Int64 = 0
    var bytes: Int64 = 0

    var isEmpty: Bool { operations == 0 }
    var description: String { "\(operations) operations, \(documents) documents, \(keys) keys, \(bytes) bytes" }

    mutating func add(_ row: BSONView) {
        operations += 1
        documents += row["docsExamined"]?.integer ?? 0
        keys += row["keysExamined"]?.integer ?? 0
        bytes += row["responseLength"]?.integer ?? 0
        if let plan = row["planSummary"]?.string { plans.insert(plan) }
    }
}

extension MongoStore {
    /// A profile that holds all of a question.
    fileprivate func makeProfile() async throws {
        try await run(.prepare) { session throws(StoreError) in
            try session.command([("create", "system.profile"), ("capped", true), ("size", 67_108_864)], writes: false) { _ in }
        }
    }

    /// Of what questions do, and nobody else.
    fileprivate func profile(_ level: Int64) async throws {
        try await run(.prepare) { session throws(StoreError) in
            try session.command(
                [("profile", .integer(level)), ("filter", ["appName": "analytics questions"])], writes: false
            ) { _ in }
        }
    }

    /// What was seen since then, and when the last of it was.
    fileprivate func profiled(after seen: Timestamp) async throws -> (Profile, Timestamp) {
        try await run(.prepare) { session throws(StoreError) in
            try session.command(
                [
                    ("find", "system.profile"), ("filter", ["ts": ["$gt": .date(seen)]]), ("batchSize", 100_000),
                    ("projection", ["ts": 1, "docsExamined": 1, "keysExamined": 1, "responseLength": 1, "planSummary": 1, "_id": 0]),
                ], writes: false
            ) { reply in
                var (profile, last) = (Profile(), seen)
                for element in reply["cursor"]?.document?["firstBatch"]?.document ?? BSONView(UnsafeRawBufferPointer(start: nil, count: 0))
                {
                    guard let row = element.document else { continue }
                    profile.add(row)
                    last = max(last, row["ts"]?.date ?? last)
                }
                return (profile, last)
            }
        }
    }
}
