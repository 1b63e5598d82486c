import TestSupport
import Testing

@testable import AnalyticsCore

/// A sweeper closes time and raises the watermark while a flush is under way: each event is counted or in the dead letters.
@Suite(.timeLimit(.minutes(2)))
struct RetentionGateTests {
    private let rig = ProcessorRig()
    private static let old = noon - .seconds(3_600)
    private static let next = old + .seconds(60)

    private func run(
        _ bodies: [[UInt8]], redeliveries: Int = 0, until isDone: () async throws -> Bool = { true }
    ) async throws {
        rig.broker.enqueue(bodies, redeliveries: redeliveries)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        // Reports come after the acknowledgement.
        try await eventually("all is done", isDone)
        task.cancel()
        #expect(await ends(task))
    }

    private var letters: [DeadLetter] { rig.broker.dead.compactMap(DeadLetter.init(message:)) }

    private var total: Int64 {
        get async throws {
            try await roller(rig.store).finish()
            return try await QueryEngine(store: rig.store, cache: UnboundedCache(), gate: QueryGate()).counts(
                CountQuery(project: Project.default)
            ).counts.total
        }
    }

    @Test func givesANewProjectItsFirstRetentionOnce() async throws {
        try await run(bodies(["a"]) + [message([sample("b", project: "other")]).body])
        #expect(try await Set(rig.store.projectRecords().map(\.project)) == [Project.default, "other"])
        #expect(try await rig.store.projectRecords().allSatisfy { $0.retentionDays == 0 && $0.changedAt == noon })
        let records = rig.store.faults.trace.count { $0 == .record }
        try await run(bodies(["c"]))
        #expect(rig.store.faults.trace.count { $0 == .record } == records)
    }

    @Test func anEventOfClosedTimeGoesToTheDeadLettersAndItsNeighboursAreStored() async throws {
        try await rig.store.close(Project.default, before: Self.next)
        let late = sample("late", at: Self.next - .milliseconds(1), data: #"{"ä":[1]}"#, ingestID: "r:1")
        let events = [sample("a", at: Self.next, ingestID: "r:0"), late, sample("b", at: noon, ingestID: "r:2")]
        try await run([message(events, reportRequested: true).body], redeliveries: 2) {
            try await !rig.store.reports(project: Project.default, request: "r").isEmpty
        }
        rig.expectStored(["a", "b"])
        let letter = try #require(letters.first)
        #expect(letters.count == 1 && letter.reason == .expired && letter.attempts == 3 && letter.eventId == "late")
        #expect(letter.error.contains(Self.next.rfc3339) && letter.event == late)
        let report = try await rig.store.reports(project: Project.default, request: "r").first
        #expect(report?.stored == 2 && report?.refused == 1 && report?.duplicates == 0)
        #expect(try await total == 2)
    }

    @Test func ofAnotherProjectNothingIsClosed() async throws {
        try await rig.store.close("other", before: .latest)
        try await run([message([sample("a", at: Self.old)]).body])
        rig.expectStored(["a"])
        #expect(letters.isEmpty)
    }

    /// The flush asks whether time is closed, and it is closed and cut off before it inserts: the sweeper saw no mark.
    private func cutOffDuringInsert() async throws {
        let store = rig.store
        let once = Once()
        store.beforeInsert {
            guard once.claim() else { return }
            try? await store.raiseWatermark(of: Project.default, to: Self.next)
        }
    }

    @Test func anEventWhoseMinuteWasCutOffBeforeItsMarkIsNotAcknowledgedUncounted() async throws {
        try await run([message([sample("first", at: Self.old)]).body])
        #expect(try await total == 1)
        try await cutOffDuringInsert()
        try await run([message([sample("late", at: Self.old), sample("b", ingestID: "r:9")], request: "second").body])
        #expect(letters.map(\.reason) == [.expired] && letters.first?.eventId == "late")
        #expect(try await total == 2, "first and b; late is in the dead letters, and the minute keeps its count")
        #expect(rig.store.buckets(.minute).allSatisfy { !$0.dirty })
    }

    @Test func anEventThatItsMarkHasCountedStays() async throws {
        try await cutOffDuringInsert()
        try await run([message([sample("a", at: Self.old)]).body])
        #expect(letters.isEmpty)
        #expect(try await total == 1)
    }

    @Test func waitsForTheCountOfAMinuteThatIsClosedAndNotCutOffYet() async throws {
        try await run([message([sample("first", at: Self.old)]).body])
        #expect(try await total == 1)
        let store = rig.store
        let once = Once()
        let looks = Counting()
        store.beforeInsert { if once.claim() { try? await store.close(Project.default, before: Self.next) } }
        rig.broker.enqueue([message([sample("late", at: Self.old)], request: "second").body])
        // Counted only after the flush has looked a few times.
        store.beforeRead { name in
            guard name == "rollups minute", looks.next() == 3 else { return }
            store.beforeRead(nil)
            try? await roller(store).finish()
        }
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(looks.value >= 3 && letters.isEmpty)
        #expect(try await total == 2)
    }

    @Test func aCountThatLandsBetweenTheTwoReadsIsSeen() async throws {
        try await run([message([sample("first", at: Self.old)]).body])
        #expect(try await total == 1)
        let store = rig.store
        let once = Once()
        store.beforeInsert { if once.claim() { try? await store.close(Project.default, before: Self.next) } }
        let reads = Counting()
        store.beforeRead { name in
            // Admission, the look for erasures, confirmation, and then the first look's: the minute was read as marked a moment ago.
            guard name == "newestRecords", reads.next() == 4 else { return }
            store.beforeRead(nil)
            try? await roller(store).finish()
            try? await store.raiseWatermark(of: Project.default, to: Self.next)
        }
        try await run([message([sample("late", at: Self.old)], request: "second").body])
        #expect(letters.isEmpty)
        #expect(try await total == 2)
    }

    @Test func theStoreMayBeUnavailableAtEitherQuestion() async throws {
        try await rig.store.close(Project.default, before: Self.next)
        rig.store.faults.down([.read])
        rig.broker.enqueue([message([sample("a"), sample("late", at: Self.old, ingestID: "r:1")]).body])
        let tries = rig.store.faults.attempts(at: .read)
        let task = rig.start(rig.processor())
        try await eventually("it tries again") { tries.value > 2 }
        rig.store.faults.down([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        #expect(letters.map(\.reason) == [.expired])
    }

    @Test func whatBecomesOfAMinute() {
        let key = BucketKey(project: "p", index: 5)
        func bucket(done: Int64, version: Int64) -> BucketVersion { BucketVersion(key: key, version: version, done: done) }
        func fate(_ bucket: BucketVersion?, _ watermark: Timestamp?) -> RetentionGate.Fate {
            RetentionGate.fate(of: key, bucket, ProjectRecord(project: "p", watermark: watermark))
        }
        let (below, above) = (Timestamp(minute: 5), Timestamp(minute: 6))
        #expect(fate(bucket(done: 2, version: 2), nil) == .counted)
        #expect(fate(bucket(done: 2, version: 2), above) == .counted)
        #expect(fate(bucket(done: 1, version: 2), nil) == .pending)
        #expect(fate(bucket(done: 1, version: 2), below) == .pending)
        #expect(fate(bucket(done: 1, version: 2), above) == .expired(before: above))
        #expect(fate(nil, above) == .expired(before: above))
        #expect(RetentionGate.fate(of: key, nil, nil) == .pending)
    }
}
