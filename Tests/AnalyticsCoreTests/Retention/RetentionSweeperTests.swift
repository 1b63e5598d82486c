import AnalyticsJSON
import ServiceLifecycle
import ServiceLifecycleTestKit
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct RetentionSweeperTests {
    private let store = MemoryStore()
    private static let day = Duration.seconds(86_400)

    private func sweeper(days: Int = 30, step: Int = 5_000, at now: Timestamp = noon) -> RetentionSweeper {
        var settings = RetentionSweeper.Settings()
        (settings.step, settings.pause) = (step, .zero)
        return RetentionSweeper(store: store, firstRetentionDays: days, settings: settings, clock: .fixed(now), logger: quiet)
    }

    private var record: ProjectRecord? {
        get async throws { try await store.newestRecords(of: [Project.default]).first }
    }

    /// Events of 100 days, one in each, rolled; and their counts.
    private func fill() async throws {
        try await write((0..<100).map { sample("e\($0)", at: noon - Self.day * $0) }, to: store)
        try await roller(store).finish()
    }

    private func total() async throws -> Int64 {
        try await QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()).counts(CountQuery(project: Project.default)).counts
            .total
    }

    @Test func closesTimeAfterTheGraceAndCutsItOffWithTheNextSweep() async throws {
        try await fill()
        try await sweeper().adopt()
        #expect(try await record == ProjectRecord(project: Project.default, retentionDays: 30, changedAt: noon))
        try await sweeper().sweep()
        #expect(try await record?.closedBefore == nil, "the retention is new")
        let later = sweeper(at: noon + RetentionPlan.grace)
        try await later.sweep()
        #expect(try await record?.closedBefore == noon - Self.day * 37)
        #expect(try await record?.watermark == nil && store.events.count == 100, "the next sweep cuts")
        try await later.sweep()
        #expect(try await record?.watermark == noon - Self.day * 37)
        #expect(store.events.count == 38 && store.events.allSatisfy { $0.event.timestamp >= noon - Self.day * 37 })
        #expect(try await total() == 100)
    }

    @Test func aRetentionThatIsThereStays() async throws {
        try await fill()
        try await store.setRetention(of: Project.default, days: 5, at: noon)
        try await sweeper().adopt()
        #expect(try await record?.retentionDays == 5)
    }

    @Test func deletesInBoundedSteps() async throws {
        try await fill()
        try await store.raiseWatermark(of: Project.default, to: noon - Self.day * 9)
        try await store.setRetention(of: Project.default, days: 0, at: noon)
        let attempts = store.faults.attempts(at: .delete)
        try await sweeper(step: 20).sweep()
        #expect(attempts.value == 6, "90 events are four full steps, a shorter one, and one that finds nothing")
        #expect(store.events.count == 10)
    }

    @Test func doesNotCutOffAMarkedMinute() async throws {
        try await fill()
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        let late = noon - Self.day * 50
        try await write([sample("late", at: late)], to: store)
        for _ in 0..<3 { try await sweeper().sweep() }
        #expect(try await record?.watermark == late)
        #expect(store.events.contains { $0.event.id == "late" })
        try await roller(store).finish()
        try await sweeper().sweep()
        #expect(try await record?.watermark == noon - Self.day * 37)
        #expect(try await total() == 101)
    }

    @Test func aMarkOfAnotherProjectHoldsNothingBack() async throws {
        try await fill()
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        try await write([sample("x", at: noon - Self.day * 60, project: "defaulu"), sample("y", at: noon, project: "defa")], to: store)
        try await sweeper(days: 0).sweep()
        try await sweeper(days: 0).sweep()
        #expect(try await record?.watermark == noon - Self.day * 37)
        #expect(store.events.contains { $0.event.id == "x" })
    }

    @Test func neitherAHigherRetentionNorNoneLowersAnything() async throws {
        try await fill()
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        for _ in 0..<2 { try await sweeper().sweep() }
        let before = try await record
        for days in [1_000, 0] {
            try await store.setRetention(of: Project.default, days: days, at: noon - Self.day)
            for _ in 0..<2 { try await sweeper().sweep() }
            let after = try await record
            #expect(after?.watermark == before?.watermark && after?.closedBefore == before?.closedBefore)
        }
        #expect(try await total() == 100)
    }

    @Test func countsByReceiptWhatAnEarlierVersionDidNotBeforeItDeletes() async throws {
        try await fill()
        forget()
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        var settings = RetentionSweeper.Settings()
        (settings.interval, settings.pause) = (.milliseconds(2), .zero)
        let sweeper = RetentionSweeper(store: store, firstRetentionDays: 0, settings: settings, clock: .fixed(noon), logger: quiet)
        try await testGracefulShutdown { trigger in
            let task = Task { try await sweeper.run() }
            try await eventually("events are deleted, and the others are counted too") { store.events.count == 38 && lacking.isEmpty }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        let query = try #require(UsageQuery(project: Project.default, at: noon))
        let usage = try await QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()).usage(query)
        // All were received at noon, whatever their time.
        #expect(usage.total == 100 && usage.months.flatMap(\.days) == [Usage.Day(day: noon.day, events: 100)])
    }

    /// As if an earlier version had counted everything.
    private func forget() {
        for tier in RollupTier.allCases {
            for bucket in store.buckets(tier) { store.edit(tier, bucket.key) { $0.received = nil } }
        }
    }

    /// The days without a table of receipt.
    private var lacking: [Int64] { store.buckets(.day).filter { $0.received == nil }.map(\.key.index) }

    @Test func aFailedCountByReceiptStopsNoOtherProjectAndHoldsItsWatermarkBackForAnHour() async throws {
        try await fill()
        forget()
        try await write([sample("x", at: noon - Self.day * 60, project: "other")], to: store)
        try await roller(store).finish()
        for project in [Project.default, "other"] { try await store.setRetention(of: project, days: 30, at: noon - Self.day) }
        let time = Mutex(noon)
        let log = RecordedLog()
        var settings = RetentionSweeper.Settings()
        settings.pause = .zero
        let sweeper = RetentionSweeper(
            store: store, firstRetentionDays: 0, settings: settings, clock: WallClock { time.withLock { $0 } }, logger: log.logger)
        store.beforeRead { (name) async throws(StoreError) in
            if name.equalsUTF8("countEvents") { throw StoreError(.timedOut, operation: name, "too many") }
        }
        for pass in 1...5 {
            try await sweeper.sweep()
            #expect(log.warnings.count == pass)
        }
        #expect(try await record?.watermark == nil && store.events.count == 100)
        #expect(!store.events.contains { $0.event.id.equalsUTF8("x") }, "the other project expires")
        time.withLock { $0 = $0 + ReceivedFillRounds.patience }
        try await sweeper.sweep()
        #expect(try await record?.watermark == noon - Self.day * 37 && store.events.count == 38)
    }

    @Test func aWatermarkWaitsForTheDaysThatItPassesAndLooksAtThemAgain() async throws {
        try await write((0..<100).map { sample("e\($0)", at: noon - Self.day * ($0 + 40)) }, to: store)
        try await roller(store).finish()
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        var settings = RetentionSweeper.Settings()
        settings.pause = .zero
        // From the last of these on: the newest day first.
        settings.order = { $0.sorted() }
        let sweeper = RetentionSweeper(store: store, firstRetentionDays: 0, settings: settings, clock: .fixed(noon), logger: quiet)
        let counted = store.countedRanges.count
        try await sweeper.sweep()
        #expect(lacking.isEmpty && store.countedRanges.count == counted)
        forget()
        try await sweeper.sweep()
        let days = store.countedRanges.dropFirst(counted).map(\.lowerBound.day)
        let expected: [Int64] = (0..<64 as Range<Int64>).map { noon.day - 40 - $0 }
        #expect(days == expected)
        #expect(try await record?.watermark == nil && store.events.count == 100 && lacking.count == 36)
        try await sweeper.sweep()
        #expect(try await record?.watermark == noon - Self.day * 37 && store.events.isEmpty && lacking.isEmpty)
    }

    @Test func severalAtOnceDeleteNoMoreThanOne() async throws {
        try await fill()
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        let sweepers = (0..<4).map { _ in sweeper(step: 3) }
        for _ in 0..<3 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sweeper in sweepers { group.addTask { try await sweeper.sweep() } }
                try await group.waitForAll()
            }
        }
        #expect(store.events.count == 38)
        #expect(try await total() == 100)
    }

    @Test func goesOnAfterTheStoreWasUnavailableAndEndsWithTheService() async throws {
        try await fill()
        var settings = RetentionSweeper.Settings()
        (settings.interval, settings.pause) = (.milliseconds(2), .zero)
        try await store.setRetention(of: Project.default, days: 30, at: noon - Self.day)
        store.faults.down([.read])
        let sweeper = RetentionSweeper(store: store, firstRetentionDays: 0, settings: settings, clock: .fixed(noon), logger: quiet)
        let tries = store.faults.attempts(at: .read)
        try await testGracefulShutdown { trigger in
            let task = Task { try await sweeper.run() }
            try await eventually("it tries again") { tries.value > 2 }
            store.faults.down([])
            try await eventually("events are deleted") { store.events.count == 38 }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
    }
}

@Suite(.timeLimit(.minutes(2)))
struct IngestHorizonsTests {
    private let store = MemoryStore()
    private let day = Duration.seconds(86_400)

    @Test func usesTheFirstRetentionUntilARecordWasRead() async throws {
        try await store.setRetention(of: Project.default, days: 5, at: noon)
        try await store.close(Project.default, before: noon)
        let horizons = IngestHorizons(firstRetentionDays: 30)
        #expect(horizons.horizon(of: Project.default) == IngestHorizon(retention: day * 30))
        try await horizons.take(store.projectRecords())
        #expect(horizons.horizon(of: Project.default) == IngestHorizon(retention: day * 5, closedBefore: noon))
        #expect(horizons.horizon(of: "another") == IngestHorizon(retention: day * 30))
        try await store.setRetention(of: Project.default, days: 0, at: noon)
        try await horizons.take(store.projectRecords())
        #expect(horizons.horizon(of: Project.default) == IngestHorizon(closedBefore: noon))
    }

    @Test func keepsTheLastValuesWhileTheStoreIsUnavailableAndGoesOnAccepting() async throws {
        try await store.setRetention(of: Project.default, days: 5, at: noon)
        let horizons = IngestHorizons(firstRetentionDays: 0)
        try await horizons.take(store.projectRecords())
        store.faults.down([.read])
        await #expect(throws: StoreError.self) { try await horizons.take(store.projectRecords()) }
        let collector = Collector(
            publisher: MemoryBroker(), limits: EventLimits(), horizons: horizons, clock: .fixed(noon), ids: .counting())
        let events = [noon, noon - day * 5, noon - day * 5 - .milliseconds(1)].map {
            #"{"type":"t","source":"s","data":1,"timestamp":"\#($0.rfc3339)"}"#
        }
        let body = PaddedBytes("[\(events.joined(separator: ","))]")
        let result = try await collector.submit(IngestRequest(project: Project.default, format: NativeFormat.batch, body: body))
        #expect(result.accepted.map(\.index) == [0, 1] && result.rejected.first.map(\.code) == [.timestampTooOld])
    }

    @Test func readsAgainAndAgainAndEndsWithTheService() async throws {
        let horizons = IngestHorizons(firstRetentionDays: 0)
        try await store.setRetention(of: Project.default, days: 5, at: noon)
        try await testGracefulShutdown { trigger in
            let visitors = VisitorIdentifier(store: store, clock: .fixed(noon))
            let follower = ProjectFollower(store: store, horizons: horizons, visitors: visitors, logger: quiet)
            let task = Task { try await follower.run() }
            try await eventually("the record is read") { horizons.horizon(of: Project.default).retention == day * 5 }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
    }
}
