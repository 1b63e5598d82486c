import Logging
import ServiceLifecycleTestKit
import Testing

@testable import AnalyticsCore

/// A processor over fakes that share one plan of faults.
private struct Rig {
    let faults = Faults()
    let store: MemoryStore
    let broker: MemoryBroker

    init() {
        store = MemoryStore(faults: faults)
        broker = MemoryBroker(faults: faults)
    }

    func processor(
        flushEvents: Int = 2_000, flushInterval: Duration = .milliseconds(4), prefetch: Int = 500, concurrentFlushes: Int = 2
    ) -> Processor {
        Processor(
            broker: broker, store: store, enrichments: [],
            settings: .init(
                flushEvents: flushEvents, flushInterval: flushInterval, prefetch: prefetch, concurrentFlushes: concurrentFlushes),
            clock: .fixed(noon), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func start(_ processor: Processor) -> Task<Void, any Error> { Task { try await processor.run() } }

    /// What must hold once the queue is empty: each event once, every minute marked or counted, and every hour marked.
    func expectStored(_ ids: [String], location: SourceLocation = #_sourceLocation) {
        #expect(store.events.map(\.event.id).sorted() == ids.sorted(), sourceLocation: location)
        let events = Dictionary(grouping: store.events.map(\.event)) { BucketKey(project: $0.project, index: $0.timestamp.minute) }
        let minutes = Set(
            store.buckets(.minute).filter { $0.dirty || $0.groups.reduce(0) { $0 + $1.count } == events[$0.key]?.count ?? 0 }.map(\.key))
        let hours = Set(store.buckets(.hour).filter(\.dirty).map(\.key))
        for stored in store.events {
            let minute = BucketKey(project: stored.event.project, index: stored.event.timestamp.minute)
            #expect(minutes.contains(minute), "minute of \(stored.event.id)", sourceLocation: location)
            #expect(hours.contains(minute.hour), "hour of \(stored.event.id)", sourceLocation: location)
        }
    }
}

private func bodies(_ ids: [String]) -> [[UInt8]] { ids.map { message([sample($0)], request: "r-\($0)").body } }

private func names(_ count: Int) -> [String] { (0..<count).map { "e\($0)" } }

@Suite(.timeLimit(.minutes(5)))
struct ProcessorTests {
    @Test func writesInsertsMarksBuriesAndOnlyThenAcknowledges() async throws {
        let rig = Rig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.broker.enqueue([message([sample("a"), sample("taken")]).body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        #expect(rig.faults.trace.dropFirst() == [.insert, .markMinute, .markHour, .bump, .bury, .acknowledge])
        rig.expectStored(["a", "taken"])
    }

    @Test func countsANewMinuteItselfWhereAllOfItsEventsAreNew() async throws {
        let rig = Rig()
        let later = noon + .seconds(60)
        _ = try await rig.store.insert([stored(sample("there", at: later))])
        let events = [sample("a"), sample("b", type: "click"), sample("c"), sample("there", at: later), sample("d", at: later)]
        rig.broker.enqueue([message(events).body, message([sample("a")]).body])
        let task = rig.start(rig.processor(flushEvents: 5))
        await rig.broker.untilIdle()
        task.cancel()
        _ = await task.result
        let buckets = rig.store.buckets(.minute)
        // A second flush has marked the first minute again, without counting anything twice.
        #expect(buckets.map(\.version) == [2, 1] && buckets.map(\.dirty) == [true, true] && buckets.map(\.done) == [1, 0])
        #expect(
            buckets[0].groups == [
                RollupGroup(type: "view", source: "web", count: 2), RollupGroup(type: "click", source: "web", count: 1),
            ])
    }

    @Test func tellsRequestsThatWaitWhatCameOfTheirDeliveriesOnceTheyCanBeCounted() async throws {
        let rig = Rig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.store.refuse(["never"])
        let events = [sample("a"), sample("taken"), sample("b"), sample("never")]
        rig.broker.enqueue([
            message(events, request: "waiting", isAwaited: true).body, message([sample("c")], request: "not waiting").body,
        ])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        await eventually("the report") { rig.faults.trace.last == .report }
        task.cancel()
        _ = await task.result
        let report = DeliveryReport(project: Project.default, request: "waiting", first: 0, stored: 2, duplicates: 1, refused: 1, at: noon)
        #expect(try await rig.store.reports(project: Project.default, request: "waiting") == [report])
        #expect(try await rig.store.reports(project: Project.default, request: "not waiting") == [])
        let trace = rig.faults.trace
        #expect(trace.firstIndex(of: .report)! > trace.firstIndex(of: .bump)!)
    }

    @Test func aReportThatIsLostHoldsNothingUp() async throws {
        let rig = Rig()
        rig.faults.away([.report])
        rig.broker.enqueue([message([sample("a")], isAwaited: true).body, message([sample("b")]).body])
        let task = rig.start(rig.processor(flushEvents: 1))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b"])
    }

    /// Steps that write: insert, three marks, burial, acknowledgement; each can be cut before and after it took effect.
    @Test(arguments: 0..<12)
    func aCrashAnywhereLeadsToEachEventStoredOnceMarkedAndAcknowledged(moment: Int) async throws {
        let rig = Rig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.broker.enqueue([message([sample("a"), sample("b", at: noon - .seconds(7_200)), sample("taken")]).body])
        rig.faults.crash(afterMoments: moment)
        let first = rig.start(rig.processor())
        await eventually("the crash") { rig.faults.hasCrashed }
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
        let letters = rig.broker.dead.compactMap(ReadDeadLetter.init)
        #expect(!letters.isEmpty && letters.count == rig.broker.dead.count)
        #expect(letters.allSatisfy { $0.reason == "conflicting_id" && $0.eventId == "taken" })
    }

    @Test(arguments: [Faults.Step.insert, .markMinute, .markHour, .bump, .bury])
    func whatIsAwayIsWaitedForAndNothingIsAcknowledgedMeanwhile(step: Faults.Step) async throws {
        let rig = Rig()
        _ = try await rig.store.insert([stored(sample("taken", type: "other"))])
        rig.faults.away([step])
        let attempts = rig.faults.attempts(at: step)
        rig.broker.enqueue([message([sample("a"), sample("taken")]).body] + bodies(["b", "c"]))
        // One flush of all four: what needs no burial would be acknowledged by itself.
        let task = rig.start(rig.processor(flushEvents: 4, flushInterval: .seconds(3_600)))
        await eventually("some attempts") { attempts.value >= 3 }
        #expect(rig.broker.acknowledged.isEmpty)
        rig.faults.away([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b", "c", "taken"])
        #expect(rig.broker.acknowledged.count == 3)
    }

    @Test func holdsNoMoreThanThePrefetchWhileTheStoreIsAway() async {
        let rig = Rig()
        rig.faults.away([.insert])
        rig.broker.enqueue(bodies(names(200)))
        let attempts = rig.faults.attempts(at: .insert)
        let task = rig.start(rig.processor(flushEvents: 4, prefetch: 10))
        await eventually("some attempts") { attempts.value >= 4 }
        #expect(rig.broker.mostHeld == 10)
        #expect(rig.broker.ready == 190)
        rig.faults.away([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(200))
        #expect(rig.broker.mostHeld == 10)
    }

    @Test func whenTheConnectionIsLostOldHandlesDoNothingAndNothingIsCountedTwice() async {
        let rig = Rig()
        rig.faults.away([.markMinute])
        rig.broker.enqueue(bodies(names(20)))
        let attempts = rig.faults.attempts(at: .markMinute)
        let task = rig.start(rig.processor())
        await eventually("an attempt") { attempts.value >= 1 }
        rig.broker.disconnect()
        rig.faults.away([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(20))
        #expect(rig.broker.acknowledged.count == 20)
    }

    @Test func everyMessageThreeTimesIsStoredOnce() async {
        let rig = Rig()
        let messages = bodies(names(50))
        rig.broker.enqueue(messages + messages + messages)
        let task = rig.start(rig.processor(flushEvents: 7))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(50))
        #expect(rig.broker.dead.isEmpty)
    }

    @Test func aCancelledProcessorEndsThoughTheStoreIsAwayAndFlushesWaitForRoom() async {
        let rig = Rig()
        rig.faults.away([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(names(10)))
        let task = rig.start(rig.processor(flushEvents: 1, concurrentFlushes: 1))
        await eventually("some attempts") { attempts.value >= 2 }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.acknowledged.isEmpty)
        let before = attempts.value
        try? await Task.sleep(for: .milliseconds(150))
        #expect(attempts.value == before, "no flush is left behind")
    }

    @Test func aCancelledProcessorEndsThoughTheStoreIsAwayAndItsBufferIsNotEmpty() async {
        let rig = Rig()
        rig.faults.away([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(names(3)))
        let task = rig.start(rig.processor(flushEvents: 2, flushInterval: .seconds(3_600), concurrentFlushes: 1))
        await eventually("some attempts") { attempts.value >= 2 }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.acknowledged.isEmpty)
    }

    @Test func aCancelledProcessorEndsThoughTheDeadLettersAreAway() async {
        let rig = Rig()
        rig.faults.away([.bury])
        let attempts = rig.faults.attempts(at: .bury)
        rig.broker.enqueue([Array("garbage".utf8)])
        let task = rig.start(rig.processor())
        await eventually("some attempts") { attempts.value >= 2 }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.acknowledged.isEmpty)
    }
}

@Suite(.timeLimit(.minutes(5)))
struct GracefulShutdownTests {
    @Test func writesAndAcknowledgesWhatIsHeld() async {
        let rig = Rig()
        rig.broker.enqueue(bodies(names(7)))
        await testGracefulShutdown { trigger in
            // An hour: only the shutdown flushes.
            let task = rig.start(rig.processor(flushInterval: .seconds(3_600)))
            await eventually("all delivered") { rig.broker.unacknowledged == 7 }
            // Delivered to the stream is not yet taken from it.
            for _ in 0..<1_000 { await Task.yield() }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        // What was delivered and not taken yet stays with the broker; what was taken is written and acknowledged.
        #expect(!rig.store.events.isEmpty)
        #expect(rig.broker.acknowledged.count == rig.store.events.count)
    }

    @Test func acknowledgesWhatItHoldsThoughMoreIsDeliveredMeanwhile() async {
        let rig = Rig()
        rig.faults.away([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(["held"]))
        await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1))
            await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            for _ in 0..<1_000 { await Task.yield() }
            rig.broker.enqueue(bodies(["late"]))
            for _ in 0..<1_000 { await Task.yield() }
            rig.faults.away([])
            #expect(await ends(task))
        }
        #expect(rig.store.events.map(\.event.id) == ["held"])
        #expect(rig.broker.acknowledged.count == 1 && rig.broker.ready == 1)
    }

    @Test(arguments: 0..<20)
    func finishesEveryFlushAndLeavesNoneBehind(round: Int) async {
        let rig = Rig()
        rig.faults.away([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.store.beforeInsert { for _ in 0..<50 { await Task.yield() } }
        rig.broker.enqueue(bodies(names(8)))
        await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1, concurrentFlushes: 1 + round % 3))
            await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            rig.faults.away([])
            #expect(await ends(task))
        }
        let acknowledged = rig.broker.acknowledged.count
        #expect(acknowledged == rig.store.events.count, "what is written is acknowledged before the end")
        for _ in 0..<200 { await Task.yield() }
        #expect(rig.store.events.count == acknowledged, "nothing is written after the end")
    }
}

@Suite(.timeLimit(.minutes(5)))
struct DeadLetterTests {
    @Test func onePoisonEventInFiveHundredIsBuriedAndTheOthersAreStored() async throws {
        let rig = Rig()
        let events = (0..<500).map {
            sample("e\($0)", at: noon + .seconds($0), data: #"{"n":\#($0),"t":"ä\"\\"}"#, receipt: "r\($0 / 100):\($0 % 100)")
        }
        rig.store.poison(["e250"])
        rig.broker.enqueue((0..<5).map { message(Array(events[$0 * 100..<($0 + 1) * 100]), request: "r\($0)").body })
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(500).filter { $0 != "e250" })
        #expect(rig.broker.dead.count == 1)
        let letter = try #require(rig.broker.dead.first.flatMap(ReadDeadLetter.init))
        #expect(letter.reason == "refused_by_store")
        #expect(letter.error == "poison")
        #expect(letter.attempts == 1)
        #expect(letter.eventId == "e250" && letter.project == Project.default)
        #expect(letter.event == events[250])
        // Halving finds one among 500 in about 2 × log2(500) inserts, not in 500.
        #expect(rig.store.insertions.count < 40)
    }

    @Test func anEventThatTheStoreNeverTakesIsBuriedByItself() async throws {
        let rig = Rig()
        rig.store.refuse(["b"])
        rig.broker.enqueue([message([sample("a"), sample("b", receipt: "r:1"), sample("c")]).body], redeliveries: 3)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "c"])
        let letter = try #require(rig.broker.dead.first.flatMap(ReadDeadLetter.init))
        #expect(letter.reason == "refused_by_store" && letter.error == "never" && letter.attempts == 4)
        #expect(letter.event == sample("b", receipt: "r:1"))
    }

    @Test func theSameIdWithOtherContentStaysAndTheOtherIsBuried() async throws {
        let rig = Rig()
        rig.broker.enqueue([
            message([sample("a", data: "1")], request: "first").body, message([sample("a", data: "2")], request: "second").body,
        ])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(rig.store.events.map(\.event.data?.text) == ["1"])
        let letter = try #require(rig.broker.dead.first.flatMap(ReadDeadLetter.init))
        #expect(letter.reason == "conflicting_id" && letter.event?.data?.text == "2" && rig.broker.dead.count == 1)
    }

    @Test func theSameIdWithTheSameContentIsOnlyADuplicate() async throws {
        let rig = Rig()
        rig.broker.enqueue([message([sample("a")], request: "first").body, message([sample("a")], request: "second").body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        #expect(rig.broker.dead.isEmpty)
    }

    @Test(arguments: ["garbage", "", "{", "[]", "{}", #"{"v":1,"events":[{"n":0}]}"#, "\u{0}", #"{"v":2,"events":[]}"#])
    func aDeliveryThatIsNoChunkIsBuriedWithItsBytes(body: String) async throws {
        let rig = Rig()
        rig.broker.enqueue([Array(body.utf8)] + bodies(["a"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        let letter = try #require(rig.broker.dead.first.flatMap(ReadDeadLetter.init))
        #expect(letter.reason == "undecodable" && letter.original == Array(body.utf8) && rig.broker.dead.count == 1)
    }

    @Test func aDeliveryThatKeepsComingBackIsGivenUpWithItsBytesWhateverTheyAre() async throws {
        let rig = Rig()
        let killer: [UInt8] = [0x7B, 0xFF, 0x00, 0x22]
        rig.broker.enqueue([killer], redeliveries: PoisonGuard.giveUpAfter + 1)
        rig.broker.enqueue(bodies(["a"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        let letter = try #require(rig.broker.dead.first.flatMap(ReadDeadLetter.init), "a dead letter is JSON")
        #expect(letter.reason == "too_many_deliveries" && letter.original == killer)
        #expect(letter.attempts == PoisonGuard.giveUpAfter + 2)
    }

    @Test func aDeliveryUnderSuspicionIsWrittenAloneWithThoseBeforeItDoneWith() async {
        let rig = Rig()
        rig.broker.enqueue(bodies(["a", "b"]))
        rig.broker.enqueue(bodies(["suspect"]), redeliveries: PoisonGuard.isolateFrom)
        rig.broker.enqueue(bodies(["c"]))
        let task = rig.start(rig.processor(flushInterval: .milliseconds(500)))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(rig.store.insertions == [2, 1, 1])
        rig.expectStored(["a", "b", "suspect", "c"])
    }

    @Test func anUnconfirmedDeadLetterIsPublishedAgainBeforeItsDeliveryIsAcknowledged() async {
        let rig = Rig()
        let attempts = Counting()
        rig.broker.answer { _, _ in attempts.next() <= 2 ? .lose : .confirm }
        rig.broker.enqueue([Array("garbage".utf8)])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(rig.broker.dead.count == 1 && attempts.value == 3)
    }
}
