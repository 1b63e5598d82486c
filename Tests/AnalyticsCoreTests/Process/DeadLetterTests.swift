import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct DeadLetterTests {
    @Test func onePoisonEventInFiveHundredIsBuriedAndTheOthersAreStored() async throws {
        let rig = ProcessorRig()
        let events = (0..<500).map {
            sample("e\($0)", at: noon + .seconds($0), data: #"{"n":\#($0),"t":"ä\"\\"}"#, ingestID: "r\($0 / 100):\($0 % 100)")
        }
        rig.store.poison(["e250"])
        rig.broker.enqueue((0..<5).map { message(Array(events[$0 * 100..<($0 + 1) * 100]), request: "r\($0)").body })
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(500).filter { $0 != "e250" })
        #expect(rig.broker.dead.count == 1)
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .refused)
        #expect(letter.error.hasSuffix("poison"))
        #expect(letter.attempts == 1)
        #expect(letter.eventId == "e250" && letter.project == Project.default)
        #expect(letter.event == events[250])
        // Halving finds one among 500 in about 2 × log2(500) inserts, not in 500.
        #expect(rig.store.insertions.count < 40)
    }

    @Test func aStoreThatFailsEveryInsertIsWaitedForAndNoEventIsBlamed() async throws {
        let rig = ProcessorRig()
        rig.store.poison(Set(names(3)))
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue([message(names(3).map { sample($0) }).body])
        let task = rig.start(rig.processor())
        try await eventually("many attempts") { attempts.value >= 2 * InsertPlan.equalFailures }
        #expect(rig.broker.dead.isEmpty && rig.broker.acknowledged.isEmpty)
        rig.store.poison([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(3))
        #expect(rig.broker.dead.isEmpty)
    }

    @Test func anEventThatTheStoreNeverTakesIsBuriedByItself() async throws {
        let rig = ProcessorRig()
        rig.store.refuse(["b"])
        rig.broker.enqueue([message([sample("a"), sample("b", ingestID: "r:1"), sample("c")]).body], redeliveries: 3)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "c"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .refused && letter.error == "never" && letter.attempts == 4)
        #expect(letter.event == sample("b", ingestID: "r:1"))
    }

    @Test func theSameIdWithOtherContentStaysAndTheOtherIsBuried() async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue([
            message([sample("a", data: "1")], request: "first").body, message([sample("a", data: "2")], request: "second").body,
        ])
        let task = rig.start(rig.processor(concurrentFlushes: 1))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(rig.store.events.map(\.event.data?.text) == ["1"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .conflict && letter.event?.data?.text == "2" && rig.broker.dead.count == 1)
    }

    @Test func theSameIdWithTheSameContentIsOnlyADuplicate() async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue([message([sample("a")], request: "first").body, message([sample("a")], request: "second").body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        #expect(rig.broker.dead.isEmpty)
    }

    @Test(arguments: [
        "garbage", "", "{", "[]", "{}", #"{"v":1,"events":[{"n":0}]}"#, "\u{0}", #"{"v":2,"events":[]}"#,
        // Times with which every process that took the message ended, 51 times over.
        #"{"v":1,"project":"p","request":"r","receivedAt":-9223372036854775808,"events":[{"n":0,"id":"x","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"x","type":"t","source":"s","timestamp":9223372036854775807}]}"#,
    ])
    func aDeliveryThatIsNoChunkIsBuriedWithItsBytes(body: String) async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue([Array(body.utf8)] + bodies(["a"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .undecodable && letter.original == Array(body.utf8) && rig.broker.dead.count == 1)
    }

    @Test func aDeliveryThatKeepsComingBackIsGivenUpWithItsBytesWhateverTheyAre() async throws {
        let rig = ProcessorRig()
        let killer: [UInt8] = [0x7B, 0xFF, 0x00, 0x22]
        rig.giveUp(on: killer, redeliveries: 50)
        rig.broker.enqueue(bodies(["a"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)), "a dead letter is JSON")
        #expect(letter.reason == .redelivered && letter.original == killer)
        #expect(letter.attempts == DeadLetterPolicy.recordFrom + 51)
    }

    /// Each of many processors stored the events and died before the mark.
    @Test func aDeliveryThatIsGivenUpIsSplitByEventAndEveryStoredEventIsMarked() async throws {
        let rig = ProcessorRig()
        let events = (0..<40).map { sample("e\($0)", at: noon + .seconds($0 * 45), ingestID: "r:\($0)") }
        _ = try await rig.store.insert(events.prefix(30).map(stored))
        rig.giveUp(on: message(events).body)
        rig.broker.enqueue(bodies(["a"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(events.map(\.id) + ["a"])
        #expect(rig.broker.dead.isEmpty)
    }

    @Test func aSingleEventThatIsGivenUpIsMarkedBeforeItIsPublishedToTheDeadLetters() async throws {
        let rig = ProcessorRig()
        _ = try await rig.store.insert([stored(sample("killer"))])
        rig.giveUp(on: bodies(["killer"])[0], attempts: DeadLetterPolicy.processingAttempts + DeadLetterPolicy.salvageAttempts - 1)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        try await eventually("the attempts are forgotten") { rig.store.attempts == 0 && rig.faults.trace.contains(.forgetAttempts) }
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["killer"])
        #expect(
            rig.faults.trace.dropFirst() == [.beginAttempt, .markMinute, .markHour, .markDay, .deadLetter, .acknowledge, .forgetAttempts])
        #expect(rig.store.attempts == 0)
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .redelivered && letter.original == bodies(["killer"])[0])
    }

    @Test func aDeliveryWhoseGivingUpWasTriedBeforeIsPublishedUnread() async throws {
        let rig = ProcessorRig()
        rig.giveUp(on: bodies(["killer"])[0], attempts: DeadLetterPolicy.processingAttempts + DeadLetterPolicy.salvageAttempts)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        try await eventually("the attempts are forgotten") { rig.store.attempts == 0 && rig.faults.trace.contains(.forgetAttempts) }
        task.cancel()
        #expect(await ends(task))
        #expect(rig.faults.trace == [.beginAttempt, .deadLetter, .acknowledge, .forgetAttempts])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .redelivered && letter.error.contains("reconcile") && letter.original == bodies(["killer"])[0])
    }

    /// Seventy restarts in a row, each before anything was done.
    @Test func aCountOfDeliveriesAloneGivesNothingUp() async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue(bodies(["a"]) + [message([sample("b", ingestID: "r:0"), sample("c", ingestID: "r:1")]).body], redeliveries: 70)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        try await eventually("the attempts are forgotten") { rig.store.attempts == 0 && rig.faults.trace.contains(.forgetAttempts) }
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b", "c"])
        #expect(rig.broker.dead.isEmpty && rig.store.insertions == [1, 2] && rig.store.attempts == 0)
    }

    /// The store is away when the attempt is recorded, and its answer is lost; then all is well.
    @Test(arguments: [0, 1])
    func anAttemptThatCannotBeRecordedIsNotBegun(moments: Int) async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue(bodies(["a"]), redeliveries: DeadLetterPolicy.recordFrom)
        rig.faults.crash(afterMoments: moments)
        let first = rig.start(rig.processor())
        try await eventually("the attempt fails") { rig.faults.hasCrashed }
        #expect(rig.store.insertions.isEmpty)
        first.cancel()
        #expect(await ends(first))
        rig.faults.revive()
        let second = rig.start(rig.processor())
        await rig.broker.untilIdle()
        try await eventually("the attempts are forgotten") { rig.store.attempts == 0 && rig.faults.trace.contains(.forgetAttempts) }
        second.cancel()
        #expect(await ends(second))
        rig.expectStored(["a"])
        #expect(rig.store.attempts == 0)
    }

    /// Another version stored the events of an envelope that this one cannot read.
    @Test func anUndecodableDeliveryHasItsMinutesMarkedWhereTheyCanBeRead() async throws {
        let rig = ProcessorRig()
        _ = try await rig.store.insert([stored(sample("a"))])
        let body = #"{"v":7,"project":"default","events":[{"id":"a","timestamp":\#(noon.milliseconds),"new":[1]}]}"#
        rig.broker.enqueue([Array(body.utf8)])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        #expect(rig.broker.dead.first.flatMap(DeadLetter.init(message:))?.reason == .undecodable)
    }

    @Test func aSplitThatTheBrokerDoesNotConfirmIsPublishedAgainBeforeTheAcknowledgement() async {
        let rig = ProcessorRig()
        let attempts = Counting()
        rig.broker.answer { queue, _ in queue == .events && attempts.next() <= 7 ? .lose : .confirm }
        let events = (0..<5).map { sample("e\($0)", ingestID: "r:\($0)") }
        rig.giveUp(on: message(events).body)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(events.map(\.id))
    }

    @Test func aDeliveryUnderSuspicionIsWrittenAloneWithThoseBeforeItDoneWith() async {
        let rig = ProcessorRig()
        rig.broker.enqueue(bodies(["a", "b"]))
        rig.broker.enqueue(bodies(["suspect"]), redeliveries: DeadLetterPolicy.isolateFrom)
        rig.broker.enqueue(bodies(["c"]))
        let task = rig.start(rig.processor(flushInterval: .seconds(5)))
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(rig.store.insertions == [2, 1, 1])
        rig.expectStored(["a", "b", "suspect", "c"])
    }

    @Test func anUnconfirmedDeadLetterIsPublishedAgainBeforeItsDeliveryIsAcknowledged() async {
        let rig = ProcessorRig()
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
