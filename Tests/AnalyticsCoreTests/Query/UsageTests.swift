import TestSupport
import Testing

@testable import AnalyticsCore

/// What tests with a store in memory see of usage. What holds on every store is in `StoreContractUsage`.
@Suite(.timeLimit(.minutes(3)))
struct UsageTests {
    private let store = MemoryStore()
    private var engine: QueryEngine { QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()) }

    private func event(_ id: String, at time: Timestamp, received: Timestamp) -> Event {
        var event = sample(id, at: time)
        event.receivedAt = received
        return event
    }

    /// By date.
    private func usage(_ from: String = "2025-01", _ to: String = "2026-12", _ engine: QueryEngine? = nil) async throws -> [String: Int64] {
        let query = try #require(UsageQuery(project: Project.default, from: CivilMonth(from), to: CivilMonth(to), at: noon))
        let usage = try await (engine ?? self.engine).usage(query)
        #expect(usage.total == usage.months.reduce(0) { $0 + $1.events })
        #expect(usage.months.allSatisfy { month in month.events == month.days.reduce(0) { $0 + $1.events } })
        return Dictionary(uniqueKeysWithValues: usage.months.flatMap(\.days).map { (Timestamp(day: $0.day).date, $0.events) })
    }

    private static let day = Duration.seconds(86_400)

    @Test func theWorkedExampleOfTheDocuments() async throws {
        func time(_ text: String) throws -> Timestamp { try #require(Timestamp(rfc3339: text)) }
        let (a, b) = (try time("2026-02-28T23:59:58Z"), try time("2026-02-28T23:59:59Z"))
        try await write(
            [
                event("a", at: a, received: a), event("b", at: b, received: b + .seconds(2)),
                event("c", at: try time("2025-06-01T08:00:00Z"), received: try time("2026-03-01T09:00:00Z")),
            ], to: store)
        var again = event("b", at: b, received: try time("2026-03-02T10:00:00Z"))
        again.ingestID = "another:0"
        try await write([again], to: store)
        for _ in 0..<2 {
            let query = try #require(UsageQuery(project: Project.default, from: CivilMonth("2026-02"), to: CivilMonth("2026-03"), at: noon))
            let usage = try await engine.usage(query)
            #expect(usage.total == 3 && usage.months.map(\.events) == [1, 2] && usage.months.map(\.month.text) == ["2026-02", "2026-03"])
            #expect(usage.months.flatMap(\.days).map { Timestamp(day: $0.day).date } == ["2026-02-28", "2026-03-01"])
            try await roller(store).finish()
        }
    }

    @Test func whatIsRolledIsReadFromTheTablesOfDaysAlone() async throws {
        try await write((0..<50).map { event("e\($0)", at: noon - Self.day * $0, received: noon - Self.day * ($0 / 2)) }, to: store)
        try await roller(store).finish()
        let (names, counted) = (Recorded<String>(), store.countedRanges.count)
        store.beforeRead { names.append($0) }
        #expect(try await usage().values.reduce(0, +) == 50)
        #expect(names.values.filter { $0.starts(withUTF8: "rollups") } == ["rollups day"], "\(names.values)")
        #expect(store.countedRanges.count == counted)
    }

    @Test func aProjectWithoutEventsHasMonthsOfNone() async throws {
        let query = try #require(UsageQuery(project: "nobody", at: noon))
        let usage = try await engine.usage(query)
        #expect(usage.total == 0 && usage.months.count == 12 && usage.months.allSatisfy { $0.events == 0 && $0.days.isEmpty })
    }

    @Test func aLiveHourIsCountedFromItsEventsAndKeepsNothingForOtherQuestions() async throws {
        let engine = engine
        for round in 0..<3 {
            try await write(
                (0..<10).map { event("e\(round) \($0)", at: noon + .seconds($0 * 40), received: noon + Self.day * round) }, to: store)
            #expect(try await usage("2026-03", "2026-03", engine).values.reduce(0, +) == Int64(round + 1) * 10)
            #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == Int64(round + 1) * 10)
        }
        try await roller(store).finish()
        for _ in 0..<2 {
            #expect(try await usage("2026-03", "2026-03", engine) == ["2026-03-01": 10, "2026-03-02": 10, "2026-03-03": 10])
            #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == 30)
        }
    }

    @Test func aTableThatCannotBeReadRefersToTheFinerTier() async throws {
        try await write((0..<6).map { event("e\($0)", at: noon + .seconds($0 * 1_200), received: noon + Self.day) }, to: store)
        try await roller(store).finish()
        for table in [nil, ReceivedTable(bytes: [0]), ReceivedTable(bytes: [1])] {
            for tier in [RollupTier.day, .hour, .minute] {
                for bucket in store.buckets(tier) { store.edit(tier, bucket.key) { $0.received = table } }
                #expect(try await usage() == ["2026-03-02": 6], "\(tier) \(String(describing: table))")
            }
            _ = try await Rebuild(store: store, roller: roller(store)).run()
            #expect(store.buckets(.day).allSatisfy { $0.received != nil })
        }
    }

    @Test func aMinuteWithTooManyGroupsForATableIsStillCounted() async throws {
        let days = received([(noon.day, 3), (noon.day + 1, 4)])
        let table = try #require(days)
        let minute = BucketKey(project: Project.default, index: noon.minute)
        try await store.mark(.minute, [BucketMark(key: minute, table: .overflow, received: table, events: 7)])
        try await store.mark(.hour, [minute.hour])
        try await store.mark(.day, [minute.hour.dayOfHour])
        try await roller(store).finish()
        #expect(store.buckets(.day).map(\.table) == [.overflow] && store.events.isEmpty)
        #expect(try await usage() == ["2026-03-01": 3, "2026-03-02": 4])
    }

    @Test func reconcileNamesATableOfReceiptThatIsWrongAndARebuildMendsIt() async throws {
        try await write((0..<6).map { event("e\($0)", at: noon + .seconds($0 * 1_200), received: noon + Self.day * ($0 % 2)) }, to: store)
        try await roller(store).finish()
        func reconcile() async throws -> [Reconciliation.Difference] {
            try await Reconciliation(store: store, pause: .zero).run().differences
        }
        #expect(try await reconcile() == [])
        let wrong: [ReceivedTable?] = [received([(noon.day, 9)]), ReceivedTable.empty, ReceivedTable(bytes: [0])]
        for tier in RollupTier.allCases {
            for table in wrong {
                let key = try #require(store.buckets(tier).first?.key)
                store.edit(tier, key) { $0.received = table }
                let found = try await reconcile()
                #expect(found.contains { $0.tier == tier && $0.bucket == key && $0.received != nil }, "\(tier) \(found)")
                #expect(found.allSatisfy { $0.description.contains("received 2026-03-0") }, "\(found)")
                _ = try await Rebuild(store: store, roller: roller(store)).run()
                #expect(try await reconcile() == [])
            }
            let key = try #require(store.buckets(tier).first?.key)
            store.edit(tier, key) { $0.received = nil }
            #expect(try await reconcile() == [], "one that is missing is not wrong")
            #expect(try await Reconciliation(store: store, pause: .zero).run().missingReceived == 1)
            _ = try await Rebuild(store: store, roller: roller(store)).run()
        }
    }

    @Test func anExpiredMinuteWithoutReadableTablesCountsOnItsOwnDay() async throws {
        try await write((0..<6).map { event("e\($0)", at: noon + .seconds($0 * 10), received: noon + Self.day) }, to: store)
        try await roller(store).finish()
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(3_600))
        while try await store.deleteExpiredEvents(of: Project.default, limit: 9) > 0 {}
        for tier in RollupTier.allCases {
            for bucket in store.buckets(tier) { store.edit(tier, bucket.key) { $0.received = ReceivedTable(bytes: [0]) } }
        }
        #expect(try await usage() == ["2026-03-01": 6], "its groups tell their number")
        for table in [GroupTable.overflow, GroupTable(bytes: [9])] {
            for received in [nil, ReceivedTable(bytes: [0])] {
                for bucket in store.buckets(.minute) { store.edit(.minute, bucket.key) { ($0.table, $0.received) = (table, received) } }
                #expect(try await usage() == ["2026-03-01": 6], "its history tells their number")
            }
        }
    }

    @Test func anEventWithoutAReadableTimeOfReceiptCountsOnItsOwnDay() throws {
        let rows = [
            EventCount(minute: noon.minute, type: "t", source: "s", count: 2),
            EventCount(minute: noon.minute, type: "t", source: "s", count: 3, received: noon.day + 1),
            EventCount(minute: noon.minute + 1, type: "t", source: "s", count: 4, received: noon.day),
        ]
        var (tables, tally) = (MinuteTables(isByReceipt: true), UsageTally(try #require(UsageQuery(project: Project.default, at: noon))))
        for row in rows {
            let isTaken = [tables.add(row), tally.add(row, from: Timestamp(minute: row.minute))]
            #expect(isTaken == [true, true])
        }
        tables.finish()
        #expect(tables.received(in: noon.minute) == nil && tables.events[noon.minute] == 5)
        #expect(tables.received(in: noon.minute + 1) == received([(noon.day, 4)]))
        let days = try tally.answer().months.flatMap(\.days)
        #expect(days == [Usage.Day(day: noon.day, events: 6), Usage.Day(day: noon.day + 1, events: 3)])
    }

    @Test func sumsBeyond64BitsAreRefused() throws {
        var tally = UsageTally(try #require(UsageQuery(project: Project.default, at: noon)))
        let row = EventCount(minute: 0, type: "t", source: "s", count: .max, received: noon.day)
        let isTaken = [tally.add(row, from: noon), tally.add(row, from: noon)]
        #expect(isTaken == [true, false])
        #expect(throws: StoreError.self) { try tally.answer() }
    }

    private func received(_ days: [(Int64, Int64)]) -> ReceivedTable? {
        var sums = ReceivedSums()
        for (day, events) in days { sums.add(events, on: day) }
        return sums.table
    }
}
