import AnalyticsJSON
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// What is kept of a minute that goes on changing is what its events say.
@Suite(.timeLimit(.minutes(5)))
struct LiveMinuteTests {
    private let faults: Faults
    private let store: MemoryStore
    private let engine: QueryEngine
    private static let minute = noon.minute
    private static let key = BucketKey(project: Project.default, index: minute)

    init() {
        faults = Faults()
        store = MemoryStore(faults: faults)
        engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate(), largeMinute: 3)
    }

    private func event(_ id: String, at time: Timestamp, _ random: inout Seeded) -> Event {
        let plan = ["\"pro\"", "\"e\u{301}\"", "3", "[\"a\",\"b\"]", "null"].randomElement(using: &random)!
        var event = sample(
            id, type: random.chance(5) ? "$identify" : "t\(random.below(3))", source: "s\(random.below(2))", at: time,
            data: #"{"plan":\#(plan),"amount":\#(random.below(50)),"page":"\#(random.below(9))"}"#)
        event.userId = random.chance(50) ? "u\(random.below(6))" : nil
        event.anonymousId = random.chance(50) ? "a\(random.below(4))" : nil
        return event
    }

    /// As a flush does; what it knows of its events comes along.
    private func flush(_ events: [Event]) async throws {
        let events = events.map { stored($0, isBot: $0.id.hasSuffix("7")) }
        var marks = BucketMarks()
        for (event, outcome) in zip(events, try await store.insert(events)) { marks.touch(event, outcome) }
        try await marks.write(to: store)
    }

    /// The day has a segment, and the minutes around noon are not in it.
    private func begin() async throws -> SegmentBuilder {
        try await store.setProperties(of: Project.default, to: ["data.plan", "data.amount"].map { try PropertyPath($0) })
        try await flush([sample("first", at: noon - .seconds(3600)), sample("last", at: noon + .seconds(3600))])
        let builder = SegmentBuilder(
            store: store, clock: .fixed(noon + .seconds(60)), elapsed: ManualClock().elapsed, chunkRows: 3, logger: quiet)
        try await builder.finish()
        return builder
    }

    private func selection(_ range: Range<Timestamp>, _ random: inout Seeded) -> Selection {
        var selection = Selection(project: Project.default, includesBots: random.chance(60), from: range.lowerBound, to: range.upperBound)
        if random.chance(20) { selection.types = ["t0", "$identify"] }
        if random.chance(15) { selection.userIds = ["u1", "u2"] }
        if random.chance(15) { selection.data = [DataCondition(path: ["plan"], values: ["3", "a"])] }
        return selection
    }

    /// A question, answered from what is kept and from the events alone.
    private func ask(_ selection: Selection, _ number: Int) async throws -> (kept: String, events: String) {
        var answers: [String] = []
        for engine in [engine, engine.recounting()] {
            let starts = [selection.from!, noon + .milliseconds(7_100)].sorted().filter { $0 < selection.to! }
            switch number {
            case 0: answers.append("\(try await engine.timeseries(TimeseriesQuery(selection, metric: .users, starts: starts)).answer)")
            case 1: answers.append("\(try await engine.top(TopQuery(selection, by: Dimension("data.plan")!, metric: .users)).answer)")
            case 2: answers.append("\(try await engine.top(TopQuery(selection, by: Dimension("data.plan")!, metric: .events)).answer)")
            case 3: answers.append("\(try await engine.top(TopQuery(selection, by: .userId, metric: .events)).answer)")
            case 4: answers.append("\(try await engine.top(TopQuery(selection, by: Dimension("data.page")!, metric: .events)).answer)")
            case 5: answers.append("\(try await engine.top(TopQuery(selection, by: .type, metric: Metric("sum(data.amount)")!)).answer)")
            default: answers.append("\(try await engine.counts(CountQuery(selection, grouping: .type)).counts)")
            }
        }
        return (answers[0], answers[1])
    }

    private static let questions = 8

    @Test(arguments: 0..<30 as Range<UInt64>)
    func answersAreThoseOfTheEventsWhateverComes(seed: UInt64) async throws {
        var random = Seeded(seed)
        let builder = try await begin()
        var (all, unmarked, now): ([Event], [Event], Int) = ([], [], 0)
        func news(_ random: inout Seeded) -> [Event] {
            // In the order of time, mostly; late in the minute, early in the next one, or anywhere.
            let events = (0..<1 + random.below(12)).map { index in
                let offset = random.chance(70) ? now + random.below(300) : random.below(90_000)
                return event("e\(all.count + index)", at: noon + .milliseconds(offset), &random)
            }
            all += events
            return events
        }
        for _ in 0..<40 {
            now = min(now + random.below(4_000), 75_000)
            switch random.below(12) {
            case 0:
                // A client sends some once more, with another time, and the broker others.
                try await flush(
                    all.filter { _ in random.chance(10) }.map { event in
                        var event = event
                        if random.chance(50) { (event.ingestID, event.timestamp) = ("again", event.timestamp + .seconds(10)) }
                        return event
                    })
            case 1:
                // An earlier version marks as it always did.
                _ = try await store.insert(news(&random).map { stored($0) })
                try await store.mark(.minute, [Self.key, BucketKey(project: Project.default, index: Self.minute + 1)])
                try await store.mark(.hour, [Self.key.hour])
                try await store.mark(.day, [Self.key.hour.dayOfHour])
            case 2:
                // The process dies between the insert and the mark.
                let events = news(&random)
                _ = try await store.insert(events.map { stored($0) })
                unmarked += events
            case 3:
                let erased = all.filter { _ in random.chance(5) }
                _ = try await EventRemoval(store: store).remove(erased)
                try await EventRemoval(store: store).discard(Project.default, days: [noon.day], at: noon)
            case 4: try await builder.pass(everything: random.chance(10))
            case 5:
                for _ in 0..<20 {
                    try await flush([event("f\(all.count)\(random.below(1 << 30))", at: noon + .milliseconds(now), &random)])
                }
            default: try await flush(news(&random))
            }
            // Others come between the steps of a question, whose answer may have them or not.
            if random.chance(30) {
                let (at, more, steps) = (random.below(9), news(&random), Counting())
                store.beforeRead { [store] _ in
                    guard steps.next() == at + 1 else { return }
                    _ = try? await store.insert(more.map { stored($0) })
                    var marks = BucketMarks()
                    for event in more { marks.touch(stored(event), .stored) }
                    try? await marks.write(to: store)
                }
                _ = try await ask(selection(noon..<noon + .seconds(120), &random), random.below(Self.questions))
                store.beforeRead(nil)
                try await flush(more)
            }
            if random.chance(50) { continue }
            if random.chance(50) {
                try await flush(unmarked)
                unmarked = []
            }
            let moments = [random.below(90_000), random.below(90_000)].sorted().map { noon + .milliseconds($0) }
            let range = random.chance(50) ? noon..<noon + .seconds(120) : moments[0]..<moments[1] + .milliseconds(1)
            let selection = selection(range, &random)
            let number = random.below(Self.questions)
            let (kept, events) = try await ask(selection, number)
            // What is stored and not marked yet may be seen, or not.
            if unmarked.isEmpty { #expect(kept == events, "seed \(seed), question \(number)") }
        }
        try await flush(unmarked)
        for number in 0..<Self.questions {
            let (kept, events) = try await ask(selection(noon..<noon + .seconds(120), &random), number)
            #expect(kept == events, "seed \(seed), question \(number)")
        }
        let users = Set(
            IdentifiedEvents(store.events.map(\.event)).users(from: noon, to: noon + .seconds(120)))
        let query = TimeseriesQuery(
            Selection(project: Project.default, from: noon, to: noon + .seconds(120)), metric: .users, starts: [noon])
        #expect(try await engine.timeseries(query).answer.total == .integer(Int64(users.count)), "seed \(seed)")
    }

    /// Who did something, worked out the plain way.
    private struct IdentifiedEvents {
        let events: [Event]
        var owners: [String: (time: Timestamp, user: String)] = [:]

        init(_ events: [Event]) {
            self.events = events
            for event in events where event.type == "$identify" {
                guard let user = event.userId, let anonymous = event.anonymousId else { continue }
                let known = owners[anonymous]
                if known.map({ (event.timestamp, user) < ($0.time, $0.user) }) ?? true { owners[anonymous] = (event.timestamp, user) }
            }
        }

        func users(from: Timestamp, to: Timestamp) -> [String] {
            events.filter { $0.timestamp >= from && $0.timestamp < to }.compactMap { event in
                event.userId ?? event.anonymousId.map { owners[$0]?.user ?? "anonymous \($0)" }
            }
        }
    }

    private func fill(_ count: Int) async throws {
        var random = Seeded(1)
        // Up to the 50th second.
        for part in 0..<50 {
            try await flush(
                (0..<count / 50).map { index in
                    event("\(part)-\(index)", at: noon + .milliseconds(part * 1_000 + random.below(1_000)), &random)
                })
        }
    }

    private func users(_ engine: QueryEngine) async throws -> Int64? {
        let query = TimeseriesQuery(
            Selection(project: Project.default, from: noon - .seconds(60), to: noon + .seconds(60)), metric: .users, starts: [noon])
        guard case .integer(let users) = try await engine.timeseries(query).answer.total else { return nil }
        return users
    }

    private func scanned(_ body: () async throws -> Void) async throws -> Int {
        let before = store.scannedEvents
        try await body()
        return store.scannedEvents - before
    }

    @Test func afterAFlushOnlyTheEventsAroundItsOwnAreRead() async throws {
        _ = try await begin()
        try await fill(1_000)
        var random = Seeded(2)
        // The first question finds that the minute is large, the next one that comes after a mark keeps it.
        var read = try await scanned { _ = try await users(engine) }
        #expect(read >= 1_000)
        try await flush([event("n0", at: noon + .seconds(51), &random)])
        read = try await scanned { _ = try await users(engine) }
        #expect(read >= 1_000)
        for number in 1...30 {
            try await flush([event("n\(number)", at: noon + .milliseconds(51_000 + number * 100), &random)])
            let expected = try await users(engine.recounting())
            // Beside them the links between ids, of which there are few.
            var answer: Int64?
            read = try await scanned { answer = try await users(engine) }
            #expect(answer == expected)
            #expect(read < 120, "\(number)")
        }
        // An event that comes late is read with its neighbours, those of an earlier version with all of the minute.
        try await flush([event("late", at: noon + .seconds(3), &random)])
        read = try await scanned { _ = try await users(engine) }
        #expect(read < 150)
        try await store.mark(.minute, [Self.key])
        try await store.mark(.day, [Self.key.hour.dayOfHour])
        read = try await scanned { _ = try await users(engine) }
        #expect(read >= 1_000)
    }

    @Test func marksOfManyFlushesAreAllTold() async throws {
        _ = try await begin()
        try await fill(1_000)
        _ = try await users(engine)
        var random = Seeded(3)
        try await flush([event("n", at: noon + .seconds(51), &random)])
        _ = try await users(engine)
        for number in 0..<200 { try await flush([event("m\(number)", at: noon + .milliseconds(52_000 + number * 10), &random)]) }
        let expected = try await users(engine.recounting())
        var answer: Int64?
        let read = try await scanned { answer = try await users(engine) }
        #expect(answer == expected && read < 350)
    }

    @Test func ofALargeMinuteOnlyTheSpansThatWereMarkedAreCounted() async throws {
        try await fill(1_000)
        func count() async throws -> (total: Int64, ranges: [Range<Timestamp>]) {
            let before = store.countedRanges.count
            let query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(60))
            return (try await engine.counts(query).counts.total, Array(store.countedRanges.dropFirst(before)))
        }
        var random = Seeded(4)
        #expect(try await count().total == 1_000)
        try await flush([event("a", at: noon + .seconds(51), &random)])
        #expect(try await count().ranges.count == 60)
        try await flush([event("b", at: noon + .milliseconds(54_999), &random), event("c", at: noon + .seconds(55), &random)])
        let spans = [54..<55, 55..<56].map { noon + .seconds($0.lowerBound)..<noon + .seconds($0.upperBound) }
        let (total, ranges) = try await count()
        #expect(total == 1_003 && ranges == spans)
        try await store.mark(.minute, [Self.key])
        try await store.mark(.hour, [Self.key.hour])
        try await store.mark(.day, [Self.key.hour.dayOfHour])
        #expect(try await count().ranges.count == 60)
    }

    @Test func manyWhoAskAtOnceShareOneReading() async throws {
        _ = try await begin()
        try await fill(200)
        _ = try await users(engine)
        var random = Seeded(5)
        try await flush([event("n", at: noon + .seconds(51), &random)])
        let (live, version) = (
            LiveMinutes(store: store, interest: LiveInterest(elapsed: .system), worthKeeping: 3),
            try #require(try await store.minuteStamp(Self.key)).version
        )
        await live.note([Self.key])
        let scans = Counting()
        store.beforeRead { name in
            guard name == "scanEvents" else { return }
            scans.next()
            for _ in 0..<2_000 { await Task.yield() }
        }
        let rows = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<10 {
                group.addTask { try await live.rows(of: Self.key, [.type], version: version)?.reduce(0) { $0 + $1.count } ?? -1 }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        store.beforeRead(nil)
        #expect(rows == Array(repeating: 201, count: 10) && scans.value == 1)
        // Who has seen a newer version does not get an older one.
        try await flush([event("o", at: noon + .seconds(52), &random)])
        let newer = try await live.rows(of: Self.key, [.type], version: version + 1)
        #expect(newer?.reduce(0) { $0 + $1.count } == 202)
        let others = try await live.rows(of: Self.key, [.property(try PropertyPath("data.other"))], version: version)
        #expect(others == nil)
    }

    @Test func whoHasSeenANewerVersionDoesNotGetWhatWasReadBefore() async throws {
        _ = try await begin()
        try await fill(200)
        let (live, version) = (
            LiveMinutes(store: store, interest: LiveInterest(elapsed: .system), worthKeeping: 3),
            try #require(try await store.minuteStamp(Self.key)).version
        )
        await live.note([Self.key])
        let scans = Counting()
        let second = Mutex<Task<Int, any Error>?>(nil)
        let late = stored(sample("late", at: noon + .seconds(52)))
        store.beforeRead { [store] name in
            // After the stamp of the first.
            guard name == "scanEvents", scans.next() == 1 else { return }
            second.withLock { second in
                second = Task {
                    _ = try await store.insert([late])
                    var marks = BucketMarks()
                    marks.touch(late, .stored)
                    try await marks.write(to: store)
                    return try await live.rows(of: Self.key, [.type], version: version + 1)?.reduce(0) { $0 + $1.count } ?? -1
                }
            }
            for _ in 0..<5_000 { await Task.yield() }
        }
        _ = try await live.rows(of: Self.key, [.type], version: version)
        let task = try #require(second.withLock { $0 })
        let rows = try await task.value
        #expect(rows == 201 && scans.value == 2)
    }

    @Test func whatIsMarkedBetweenTheTwoReadingsIsNotMissed() async throws {
        _ = try await begin()
        try await fill(200)
        let live = LiveMinutes(store: store, interest: LiveInterest(elapsed: .system), worthKeeping: 3)
        await live.note([Self.key])
        let (late, stamps) = (stored(sample("late", at: noon + .seconds(52))), Counting())
        store.beforeRead { [store] name async throws(StoreError) in
            guard name == "minuteStamp", stamps.next() == 1 else { return }
            _ = try await store.insert([late])
            var marks = BucketMarks()
            marks.touch(late, .stored)
            try await marks.write(to: store)
        }
        for version in 1...2 as ClosedRange<Int64> {
            let rows = try await live.rows(of: Self.key, [.type], version: version)
            #expect(rows?.reduce(0) { $0 + $1.count } == 201)
        }
    }

    @Test func aDayWithoutASegmentIsReadByItsMinutesWhereTheyAreFew() async throws {
        try await fill(1_000)
        var (random, read) = (Seeded(8), 0)
        for number in 0..<3 {
            try await flush([event("n\(number)", at: noon + .milliseconds(51_000 + number), &random)])
            let expected = try await users(engine.recounting())
            var answer: Int64?
            read = try await scanned { answer = try await users(engine) }
            #expect(answer == expected)
        }
        #expect(read < 120)
        for minute in 1...20 { try await flush([event("m\(minute)", at: noon - .seconds(minute * 60), &random)]) }
        let expected = try await users(engine.recounting())
        #expect(try await users(engine) == expected)
    }

    @Test func aMinuteThatIsTooLargeIsReadFromItsEvents() async throws {
        var random = Seeded(6)
        let minute = LiveMinute(stamp: MinuteStamp(version: 1), fields: [.type])
        var collector = LiveMinute.Collector(minute, day: noon.day, byteLimit: 50_000)
        var added = 0
        while added < 100_000, collector.add(ScannedEvent(event("\(added)", at: noon, &random), values: [])) { added += 1 }
        let finished = collector.finish()
        #expect(added < 10_000 && finished == nil)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func piecesHoldWhatWasAddedAndNotTakenOut(seed: UInt64) throws {
        var random = Seeded(seed)
        let fields: [RowField] = [.type, .source, .userId, .property(try PropertyPath("data.plan"))]
        var minute = LiveMinute(stamp: MinuteStamp(version: 1), fields: fields.filter { $0 != .userId })
        var held: [Timestamp: [ScannedEvent]] = [:]
        for round in 0..<20 {
            let parts = MinuteParts((0..<random.below(20)).map { _ in random.below(MinuteParts.count) })
            held = held.filter { time, _ in !parts.contains(Int((time.milliseconds % 60_000) / 250)) }
            var news: [ScannedEvent] = []
            for number in 0..<random.below(60) where !parts.isEmpty {
                let time = noon + .milliseconds(parts.indexes.randomElement(using: &random)! * 250 + random.below(4))
                let event = event("\(round)-\(number)", at: time, &random)
                news.append(ScannedEvent(event, values: [[.string("p\(random.below(3))")]]))
            }
            news.sort { ($0.timestamp, $0.id) < ($1.timestamp, $1.id) }
            var collector = LiveMinute.Collector(
                minute.without(parts, at: MinuteStamp(version: Int64(round))), day: noon.day, byteLimit: .max)
            for event in news {
                held[event.timestamp, default: []].append(event)
                _ = collector.add(event)
            }
            let finished = collector.finish()
            minute = try #require(finished)
        }
        var rows: [String] = []
        let pieces = try minute.rows(fields)
        for piece in try #require(pieces) {
            for actor in piece.actors.indices {
                let own = piece.rows(of: actor)
                #expect(own.map { piece.times[$0] } == own.map { piece.times[$0] }.sorted())
                for row in own {
                    let values = try piece.columns.map { try $0.entries.scalars($0.code(of: row)) }
                    rows.append("\(piece.times[row]) \(piece.actors[actor]) \(values)")
                }
            }
        }
        var expected: [String] = []
        for event in held.values.joined() {
            let values: [[JSONScalar]] =
                [[.string(event.type)], [.string(event.source)], event.userId.map { [.string($0)] } ?? []] + event.values
            let time = event.timestamp.milliseconds - noon.day * RollupTier.day.milliseconds
            expected.append("\(time) \(ActorName(event)?.key ?? .none) \(values)")
        }
        #expect(rows.sorted() == expected.sorted(), "seed \(seed)")
        let others = try minute.rows([.sessionId])
        #expect(others == nil)
    }
}
