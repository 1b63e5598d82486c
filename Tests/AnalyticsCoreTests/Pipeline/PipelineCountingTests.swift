import TestSupport
import Testing

@testable import AnalyticsCore

/// What processors count, whatever ends them.
@Suite(.timeLimit(.minutes(5)))
struct PipelineCountingTests {
    private static let minute = noon.minute

    private static func counts(_ rig: ProcessorRig) async throws -> PipelineCounts {
        try await rig.store.pipelineCells(of: Project.default, minutes: minute..<minute + 1)
            .reduce(into: PipelineCounts()) { $0.add($1.counts) }
    }

    /// One of each: stored twice, a duplicate, a conflict, refused, stored already.
    private static func plant(_ rig: ProcessorRig) async throws -> [UInt8] {
        _ = try await rig.store.insert([
            stored(sample("duplicate", ingestID: "before:0")), stored(sample("conflict", type: "other")),
        ])
        rig.store.refuse(["never"])
        return message(["a", "b", "duplicate", "conflict", "never"].map { sample($0) }).body
    }

    @Test func eachEventCountsOnceAsWhatItHasBecome() async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue([try await Self.plant(rig)] + bodies(["c"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        let counts = try await Self.counts(rig)
        #expect(counts.stored == 3 && counts.duplicates == 1 && counts.deadLettered == 2 && counts.erased == 0 && counts.redelivered == 0)
        #expect(counts.through == noon)
    }

    @Test func nothingIsAcknowledgedThatIsNotCounted() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.pipeline])
        let attempts = rig.faults.attempts(at: .pipeline)
        rig.broker.enqueue([try await Self.plant(rig)])
        let task = rig.start(rig.processor())
        try await eventually("it tries to count") { attempts.value > 2 }
        try await eventually("all else is done") { rig.faults.trace.last == .deadLetter }
        #expect(rig.broker.acknowledged.isEmpty)
        rig.faults.down([])
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        #expect(try await Self.counts(rig).settled == 5)
    }

    @Test(arguments: [0, 1])
    func ofALaterDeliveryOnlyWhatItHasStoredIsKnownToCountOnce(redeliveries: Int) {
        let outcomes: [InsertOutcome] = [
            .stored, .stored, .redelivered, .duplicate(heldAt: noon), .conflict(heldAt: noon), .refused("never"), .expired(before: noon),
            .erased,
        ]
        let section = WriteBuffer.Section(events: outcomes.indices.map { stored(sample("\($0)")) }, origin: RequestOrigin())
        var tally = PipelineTally()
        tally.add(section, redeliveries: redeliveries, outcomes)
        tally.addWhole(3, isFirstDelivery: redeliveries == 0, project: Project.default, receivedAt: noon)
        let counts = tally.counts[.init(project: Project.default, minute: Self.minute)]
        #expect(counts?.stored == 2 && counts?.through == noon)
        let rest = [counts?.redelivered, counts?.duplicates, counts?.deadLettered, counts?.erased]
        #expect(rest == (redeliveries == 0 ? [1, 1, 6, 1] : [9, 0, 0, 0]))
    }

    /// The steps of a flush, each cut before and after it took effect, and counted before the cut or not.
    @Test(arguments: 0..<12, [true, false])
    func aCrashAnywhereLosesNoCountAndAddsNone(moment: Int, isCounted: Bool) async throws {
        let rig = ProcessorRig()
        let body = try await Self.plant(rig)
        rig.broker.enqueue([body])
        if !isCounted { rig.faults.down([.pipeline]) }
        rig.faults.crash(afterMoments: moment)
        let first = rig.start(rig.processor())
        // A count that is not written holds the acknowledgement, so no crash comes at it.
        try await eventually("the crash") { rig.faults.hasCrashed || (!isCounted && rig.faults.trace.last == .deadLetter) }
        first.cancel()
        #expect(await ends(first))

        rig.faults.revive()
        rig.faults.down([])
        rig.broker.disconnect()
        let second = rig.start(rig.processor())
        await rig.broker.untilIdle()
        second.cancel()
        #expect(await ends(second))
        let counts = try await Self.counts(rig)
        #expect(counts.settled <= 5 && counts.settled + counts.redelivered >= 5, "\(counts)")
        let accepted = PipelineBalance.Minute(minute: Self.minute, counts: with(counts) { $0.accepted = 5 })
        #expect(accepted.inFlight == 0 && accepted.uncounted == 0)
    }

    /// It is stored, and found to be closed and not counted once it is marked.
    @Test func whatBecomesSomethingElseCountsAsThatAlone() async throws {
        let rig = ProcessorRig()
        let (old, once) = (noon - .seconds(3_600), Once())
        rig.broker.enqueue([message([sample("first", at: old)]).body])
        let first = rig.start(rig.processor())
        await rig.broker.untilIdle()
        first.cancel()
        _ = await first.result
        try await roller(rig.store).finish()
        rig.store.beforeInsert { [store = rig.store] in
            if once.claim() { try? await store.raiseWatermark(of: Project.default, to: old + .seconds(60)) }
        }
        rig.broker.enqueue([message([sample("late", at: old), sample("b", ingestID: "r:9")], request: "second").body])
        let second = rig.start(rig.processor())
        await rig.broker.untilIdle()
        second.cancel()
        _ = await second.result
        let counts = try await Self.counts(rig)
        #expect(counts.stored == 2 && counts.deadLettered == 1 && counts.redelivered == 0)
    }

    /// They are in the dead letters as the bytes of a delivery, and counted by what can be read of its header.
    @Test func eventsOfADeliveryThatCannotBeReadAreDeadLettered() async throws {
        let rig = ProcessorRig()
        let body =
            #"{"v":7,"project":"default","receivedAt":\#(noon.milliseconds),"events":[{"id":"a","timestamp":1,"new":[1]},{"id":"b"}]}"#
        rig.broker.enqueue([Array(body.utf8), Array("no envelope".utf8)])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        #expect(try await Self.counts(rig).deadLettered == 2 && rig.broker.dead.count == 2)
    }

    @Test func theMinutesOfAnAuditEndFifteenMinutesAgo() async throws {
        let store = MemoryStore()
        try await store.createRecord(of: Project.default, retentionDays: 0, at: noon)
        try await store.createRecord(of: "other", retentionDays: 0, at: noon)
        for minute in -80...0 as ClosedRange<Int64> {
            var counts = PipelineCounts()
            counts.accepted = 1
            try await store.write([
                PipelineCell(project: Project.default, minute: noon.minute + minute, writer: "a", revision: 1, counts: counts)
            ])
        }
        var counts = PipelineCounts()
        counts.stored = 7
        try await store.write([PipelineCell(project: "other", minute: noon.minute - 20, writer: "p", revision: 1, counts: counts)])
        let found = try await PipelineAuditor(store: store, clock: .fixed(noon)).audit()
        #expect(found.unsettled == 60 && found.uncounted == 7)
    }
}

private func with<Value>(_ value: Value, _ edit: (inout Value) -> Void) -> Value {
    var value = value
    edit(&value)
    return value
}
