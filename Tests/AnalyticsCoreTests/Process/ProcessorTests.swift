import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct ProcessorTests {
    @Test func writesInsertsMarksBuriesAndOnlyThenAcknowledges() async throws {
        let rig = ProcessorRig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.broker.enqueue([message([sample("a"), sample("taken")]).body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        #expect(rig.faults.trace.dropFirst() == [.record, .insert, .markMinute, .markHour, .markDay, .deadLetter, .acknowledge])
        rig.expectStored(["a", "taken"])
    }

    @Test func countsANewMinuteItselfWhereAllOfItsEventsAreNew() async throws {
        let rig = ProcessorRig()
        let later = noon + .seconds(60)
        _ = try await rig.store.insert([stored(sample("there", at: later))])
        let events = [sample("a"), sample("b", type: "click"), sample("c"), sample("there", at: later), sample("d", at: later)]
        rig.broker.enqueue([message(events).body, message([sample("a")]).body])
        let task = rig.start(rig.processor(flushEvents: 5, concurrentFlushes: 1))
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        let buckets = rig.store.buckets(.minute)
        // A second flush has marked the first minute again, without counting anything twice.
        #expect(buckets.map(\.version) == [2, 1] && buckets.map(\.dirty) == [true, true] && buckets.map(\.done) == [1, 0])
        #expect(
            buckets[0].groups == [
                RollupGroup(type: "click", source: "web", count: 1), RollupGroup(type: "view", source: "web", count: 2),
            ])
    }

    /// The holder's processor stored it and died before the mark.
    @Test(arguments: ["same", "other"])
    func aDuplicateMarksTheMinuteOfTheEventThatHoldsItsID(data: String) async throws {
        let rig = ProcessorRig()
        var holder = sample("a", data: "\"same\"", ingestID: "first:0")
        holder.clientTimestamp = nil
        _ = try await rig.store.insert([stored(holder)])
        var retry = sample("a", at: noon + .seconds(3_600), data: "\"\(data)\"", ingestID: "second:0")
        retry.clientTimestamp = nil
        rig.broker.enqueue([message([retry], request: "second").body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        rig.expectStored(["a"])
        #expect(rig.store.buckets(.minute).map(\.key.index) == [noon.minute])
    }

    @Test func tellsRequestsThatWaitWhatCameOfTheirDeliveriesOnceTheyCanBeCounted() async throws {
        let rig = ProcessorRig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.store.refuse(["never"])
        let events = [sample("a"), sample("taken"), sample("b"), sample("never")]
        rig.broker.enqueue([
            message(events, request: "waiting", reportRequested: true).body, message([sample("c")], request: "not waiting").body,
        ])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        try await eventually("the report") { rig.faults.trace.contains(.report) }
        task.cancel()
        _ = await task.result
        let report = DeliveryReport(project: Project.default, request: "waiting", first: 0, stored: 2, duplicates: 1, refused: 1, at: noon)
        #expect(try await rig.store.reports(project: Project.default, request: "waiting") == [report])
        #expect(try await rig.store.reports(project: Project.default, request: "not waiting") == [])
        let trace = rig.faults.trace
        #expect(trace.firstIndex(of: .report)! > trace.firstIndex(of: .markDay)!)
    }

    @Test func aReportThatIsLostHoldsNothingUp() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.report])
        rig.broker.enqueue([message([sample("a")], reportRequested: true).body, message([sample("b")]).body])
        let task = rig.start(rig.processor(flushEvents: 1))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b"])
    }

    /// Steps that write: insert, three marks, burial, acknowledgement; each can be cut before and after it took effect.
    @Test(arguments: 0..<12)
    func aCrashAnywhereLeadsToEachEventStoredOnceMarkedAndAcknowledged(moment: Int) async throws {
        let rig = ProcessorRig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.broker.enqueue([message([sample("a"), sample("b", at: noon - .seconds(7_200)), sample("taken")]).body])
        rig.faults.crash(afterMoments: moment)
        let first = rig.start(rig.processor())
        try await eventually("the crash") { rig.faults.hasCrashed }
        first.cancel()
        #expect(await ends(first))

        rig.faults.revive()
        rig.broker.disconnect()
        let second = rig.start(rig.processor())
        await rig.broker.untilIdle()
        second.cancel()
        #expect(await ends(second))
        rig.expectStored(["a", "b", "taken"])
        #expect(rig.broker.acknowledged.count == 1)
        // At least once: a crash after the burial buries again.
        let letters = rig.broker.dead.compactMap(DeadLetter.init(message:))
        #expect(!letters.isEmpty && letters.count == rig.broker.dead.count)
        #expect(letters.allSatisfy { $0.reason == .conflict && $0.eventId == "taken" })
    }

    @Test(arguments: [Faults.Step.insert, .markMinute, .markHour, .markDay, .deadLetter])
    func whatIsAwayIsWaitedForAndNothingIsAcknowledgedMeanwhile(step: Faults.Step) async throws {
        let rig = ProcessorRig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.faults.down([step])
        let attempts = rig.faults.attempts(at: step)
        rig.broker.enqueue([message([sample("a"), sample("taken")]).body] + bodies(["b", "c"]))
        // One flush of all four: what needs no burial would be acknowledged by itself.
        let task = rig.start(rig.processor(flushEvents: 4, flushInterval: .seconds(3_600)))
        try await eventually("some attempts") { attempts.value >= 3 }
        #expect(rig.broker.acknowledged.isEmpty)
        rig.faults.down([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b", "c", "taken"])
        #expect(rig.broker.acknowledged.count == 3)
    }

    @Test func everyMessageThreeTimesIsStoredOnce() async {
        let rig = ProcessorRig()
        let messages = bodies(names(50))
        rig.broker.enqueue(messages + messages + messages)
        let task = rig.start(rig.processor(flushEvents: 7))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(50))
        #expect(rig.broker.dead.isEmpty)
    }

    @Test func aCancelledProcessorEndsThoughTheStoreIsAwayAndFlushesWaitForRoom() async throws {
        let rig = ProcessorRig()
        let clock = ManualClock()
        rig.faults.down([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(names(10)))
        let task = rig.start(rig.processor(flushEvents: 1, concurrentFlushes: 1, elapsed: clock.elapsed))
        try await eventually("some attempts") {
            clock.advance(by: .seconds(1))
            return attempts.value >= 2
        }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.acknowledged.isEmpty)
        #expect(clock.sleeping.isEmpty, "no flush is left behind that would try again")
    }

    @Test func aCancelledProcessorEndsThoughTheStoreIsAwayAndItsBufferIsNotEmpty() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(names(3)))
        let task = rig.start(rig.processor(flushEvents: 2, flushInterval: .seconds(3_600), concurrentFlushes: 1))
        try await eventually("some attempts") { attempts.value >= 2 }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.acknowledged.isEmpty)
    }

    @Test func aCancelledProcessorEndsThoughTheDeadLettersAreAway() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.deadLetter])
        let attempts = rig.faults.attempts(at: .deadLetter)
        rig.broker.enqueue([Array("garbage".utf8)])
        let task = rig.start(rig.processor())
        try await eventually("some attempts") { attempts.value >= 2 }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.acknowledged.isEmpty)
    }
}
