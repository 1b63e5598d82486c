import TestSupport
import Testing

@testable import AnalyticsCore

/// An erasure from the request to the end: what is covered goes, and everything that was made of it.
@Suite(.timeLimit(.minutes(5)))
struct ErasureTests {
    private let rig = ErasureRig()
    private var store: MemoryStore { rig.store }
    private static let ann = Selection(project: Project.default, userIds: ["ann-of-tests"])

    private func put(_ events: [Event]) async throws {
        try await write(events, to: store)
        try await rig.settle()
    }

    private func people(_ count: Int = 12) -> [Event] {
        (0..<count).map { act("e\($0)", ["ann-of-tests", "bob", nil][$0 % 3], $0 % 3 == 2 ? "device-of-ann" : nil, at: $0 * 20_000) }
            + [act("i", "ann-of-tests", "device-of-ann", type: "$identify", at: 90_000)]
    }

    @Test func aUserGoesWithTheDevicesThatAreTheirs() async throws {
        let others = [act("x", "bob", "device-of-ann", at: 5), act("y", nil, "other", at: 5), act("z", at: 5)]
        try await put(people() + others)
        let erasure = try await rig.erasures().request(Self.ann)
        #expect(erasure.state == .requested && erasure.requestedAt == noon)
        let worker = rig.worker()
        #expect(try await !worker.pass())
        let kept = Set(["e1", "e4", "e7", "e10", "x", "y", "z"])
        try await rig.expectExact(kept)
        let first = try await rig.erasures().erasure(erasure.id, of: Project.default)
        #expect(first?.state == .settling && first?.deletedEvents == 9 && first?.identifiedCount == 1)
        try await rig.finish(worker)
        let done = try #require(try await rig.erasures().erasure(erasure.id, of: Project.default))
        #expect(done.state == .done && done.doneAt == rig.now && done.deletedEvents == 9 && done.selection == nil)
        // Bob was seen on the device, so its id stays with him.
        #expect(!store.storedBytes.hold("ann-of-tests"))
        try await rig.expectExact(kept)
    }

    @Test func aDeviceThatIsSomebodyElsesStays() async throws {
        let events = [
            act("1", "bob", "shared", type: "$identify", at: 0), act("2", "ann-of-tests", "shared", type: "$identify", at: 5),
            act("3", nil, "shared", at: 9), act("4", "ann-of-tests", "own", type: "$identify", at: 9), act("5", nil, "own", at: -9),
        ]
        try await put(events)
        _ = try await rig.erasures().request(Self.ann)
        try await rig.finish()
        try await rig.expectExact(["1", "3"])
    }

    @Test(arguments: [
        (Selection(project: Project.default, anonymousIds: ["device-of-ann"]), ["e2", "e5", "e8", "e11", "i"]),
        (Selection(project: Project.default, types: ["$identify"]), ["i"]),
        (Selection(project: Project.default, from: noon + .seconds(100_000), to: noon + .seconds(140_001)), ["e5", "e6", "e7"]),
        (
            Selection(project: Project.default, userIds: ["bob", "ann-of-tests"], from: noon + .seconds(60_000)),
            ["e3", "e4", "e5", "e6", "e7", "e8", "e9", "e10", "e11", "i"]
        ),
        (Selection(project: Project.default, types: ["view"], sources: ["app"], userIds: ["bob"]), []),
        (Selection(project: Project.default, userIds: ["bob"], data: [DataCondition(path: ["n"], values: ["4", "x"])]), ["p"]),
    ])
    func selectionsAreThoseOfListings(selection: Selection, erased: [String]) async throws {
        let events = people() + [act("p", "bob", at: 3, data: #"{"n":[1,4.0]}"#), act("q", "bob", at: 4, data: #"{"n":"5"}"#)]
        try await put(events)
        _ = try await rig.erasures().request(selection)
        try await rig.finish()
        try await rig.expectExact(Set(events.map(\.id)).subtracting(erased), "\(selection)")
    }

    /// It was accepted before the request, and is stored, or would be, when the erasure has come so far.
    @Test(arguments: [Erasure.State.requested, .settling, .done], [[], ["view"]])
    func aLinkThatWaitedInTheQueueSaysWhoseADeviceIs(state: Erasure.State, types: [String]) async throws {
        try await put([
            act("a", "ann-of-tests"), act("b", nil, "late-device", at: 5), act("c", nil, "late-device", at: 90_000),
            act("d", nil, "late-device", received: noon + .milliseconds(1)), act("e", "bob", "late-device"), act("f", nil, "other"),
        ])
        var selection = Self.ann
        selection.types = types
        let erasure = try await rig.erasures().request(selection)
        if state == .settling { try await rig.worker().pass() }
        if state == .done { try await rig.finish() }
        #expect(try await rig.erasures().erasure(erasure.id, of: Project.default)?.state == state)
        rig.broker.enqueue([
            delivery([act("i", "ann-of-tests", "late-device", type: "$identify", at: 60), act("g", nil, "late-device")])
        ])
        try await rig.process()
        try await rig.finish()
        try await rig.expectExact(Set(["d", "e", "f"] + (types.isEmpty ? [] : ["i"])))
        let done = try #require(try await rig.erasures().erasure(erasure.id, of: Project.default))
        #expect(done.state == .done && done.identifiedCount == 1 && done.selection == nil && done.deletedEvents == 4)
        // What comes once more is known, and what was accepted later is not meant.
        rig.broker.enqueue([
            delivery([act("i", "ann-of-tests", "late-device", type: "$identify", at: 60), act("b", nil, "late-device", at: 5)]),
            delivery([act("j", "ann-of-tests", "new-device", type: "$identify", received: noon + .milliseconds(1))]),
            delivery([act("h", nil, "new-device")]),
        ])
        try await rig.process()
        try await rig.expectExact(Set(["d", "e", "f", "h", "j"] + (types.isEmpty ? [] : ["i"])))
        #expect(try await rig.erasures().erasure(erasure.id, of: Project.default)?.state == .done)
    }

    @Test(arguments: [-5, 5])
    func aDeviceIsThatUsersWhoseLinkIsTheEarliestAlsoWhereOneComesLate(seconds: Int) async throws {
        try await put([act("1", "bob", "shared", type: "$identify"), act("2", nil, "shared", at: 9), act("3", "ann-of-tests")])
        let erasure = try await rig.erasures().request(Self.ann)
        try await rig.finish()
        rig.broker.enqueue([delivery([act("4", "ann-of-tests", "shared", type: "$identify", at: seconds)])])
        try await rig.process()
        try await rig.finish()
        try await rig.expectExact(seconds < 0 ? ["1"] : ["1", "2"])
        #expect(try await rig.erasures().erasure(erasure.id, of: Project.default)?.identifiedCount == (seconds < 0 ? 1 : 0))
        #expect(!store.storedBytes.hold("ann-of-tests"))
    }

    @Test func aRequestForADeviceIsNotTheErasureThatHasItFromALateLink() async throws {
        try await put([act("a", nil, "late-device"), act("b", "bob", "late-device")])
        let first = try await rig.erasures("a").request(Self.ann)
        try await rig.finish()
        rig.broker.enqueue([delivery([act("i", "ann-of-tests", "late-device", type: "$identify")])])
        try await rig.process()
        try await rig.worker().pass()
        let open = try await rig.erasures().erasure(first.id, of: Project.default)
        #expect(open?.selection == Selection(project: Project.default, anonymousIds: ["late-device"]))
        let second = try await rig.erasures("b").request(Selection(project: Project.default, anonymousIds: ["late-device"]))
        #expect(second.id != first.id)
        try await rig.finish()
        try await rig.expectExact([])
    }

    /// The record holds so many at a time; the flush waits for its worker.
    @Test func moreLinksThanARecordHoldsWaitInTheQueue() async throws {
        let count = Erasure.lateLinks + 500
        try await put((0..<count).map { act("e\($0)", nil, "device-\($0)") })
        _ = try await rig.erasures().request(Self.ann)
        let links = (0..<count).map { act("i\($0)", "ann-of-tests", "device-\($0)", type: "$identify") }
        rig.broker.enqueue(stride(from: 0, to: count, by: 100).map { delivery(Array(links[$0..<$0 + 100])) })
        let task = rig.rig.start(rig.rig.processor(flushEvents: 100, flushInterval: .milliseconds(1)))
        try await eventually("as many as it holds are acknowledged") { rig.broker.acknowledged.count == 10 }
        let worker = rig.worker()
        try await eventually("all is acknowledged") {
            rig.advance(by: .seconds(3))
            try await worker.pass()
            return rig.broker.acknowledged.count == 15
        }
        task.cancel()
        #expect(await ends(task))
        try await rig.finish(worker)
        try await rig.expectExact([])
    }

    @Test func whatIsReceivedLaterIsStored() async throws {
        try await put([act("a", "ann-of-tests")])
        _ = try await rig.erasures().request(Self.ann)
        try await rig.finish()
        let later = act("a", "ann-of-tests", received: noon + .milliseconds(1))
        rig.broker.enqueue([delivery([later]), delivery([act("b", "ann-of-tests")])])
        try await rig.process()
        try await rig.expectExact(["a"])
        #expect(rig.broker.dead.isEmpty)
    }

    /// An id is free for what is received later from the request on, also while the event that has it is still there.
    @Test(arguments: ["the same", "another"])
    func whatIsReceivedLaterUnderAnIdOfTheErasedIsStored(content: String) async throws {
        try await put([act("a", "ann-of-tests", data: #"{"c":"the same"}"#), act("b", "bob")])
        _ = try await rig.erasures().request(Self.ann)
        let later = noon + .milliseconds(1)
        rig.broker.enqueue([
            message(
                [
                    act("a", "ann-of-tests", at: content == "another" ? 120 : 0, received: later, data: #"{"c":"\#(content)"}"#),
                    act("b", "bob", received: later), act("c", "ann-of-tests", received: later),
                ], request: "r", reportRequested: true
            ).body
        ])
        try await rig.process { try await !store.reports(project: Project.default, request: "r").isEmpty }
        let report = try #require(try await store.reports(project: Project.default, request: "r").first)
        #expect(report.stored == 2 && report.duplicates == 1 && report.erased == 0)
        try await rig.expectExact(["a", "b", "c"])
        try await rig.finish()
        try await rig.expectExact(["a", "b", "c"])
        #expect(store.events.first { $0.event.id == "a" }?.event.receivedAt == later && rig.broker.dead.isEmpty)
    }

    /// The worker deletes the old event between the flush's insert and its second look.
    @Test func anIdThatIsFreedWhileAFlushWaitsIsNotLost() async throws {
        try await put([act("a", "ann-of-tests")])
        _ = try await rig.erasures().request(Self.ann)
        let (worker, once) = (rig.worker(), Once())
        store.beforeRead { (name) throws(StoreError) in
            if name == "event", once.claim() { _ = try? await worker.pass() }
        }
        rig.broker.enqueue([
            message([act("a", "ann-of-tests", received: noon + .milliseconds(1))], request: "r", reportRequested: true).body
        ])
        try await rig.process()
        store.beforeRead(nil)
        try await rig.finish(worker)
        try await rig.expectExact(["a"])
    }

    @Test func nothingOfWhatComesAgainIsStoredOrKept() async throws {
        _ = try await rig.erasures().request(Self.ann)
        // Two of one id: the second would be in the dead letters.
        let events = [act("a", "bob"), act("a", "ann-of-tests", type: "other"), act("b", "ann-of-tests"), act("c")]
        rig.broker.enqueue([message(events, request: "r", reportRequested: true).body])
        try await rig.process { try await !store.reports(project: Project.default, request: "r").isEmpty }
        let report = try await store.reports(project: Project.default, request: "r").first
        #expect(report?.stored == 2 && report?.erased == 2 && report?.refused == 0)
        #expect(rig.broker.dead.isEmpty)
        try await rig.expectExact(["a", "c"])
    }

    @Test func anAnnouncementIsSeenByThoseWhoHaveLookedBefore() async throws {
        let processor = rig.rig.processor(flushInterval: .milliseconds(1))
        _ = try await rig.erasures("x").request(Selection(project: Project.default, userIds: ["carl"]))
        rig.broker.enqueue([delivery([act("a", "ann-of-tests"), act("b", "carl")])])
        try await rig.process(processor)
        _ = try await rig.erasures("y").request(Self.ann)
        rig.broker.enqueue([delivery([act("c", "ann-of-tests"), act("d")])])
        try await rig.process(processor)
        #expect(Set(store.events.map(\.event.id)) == ["a", "d"])
    }

    /// The flush looks, then all of the erasure's first pass runs, then the flush stores its events.
    @Test func aFlushThatStoresAfterTheWorkerHasPassedDeletesWhatItHasStored() async throws {
        let once = Once()
        store.beforeInsert { [rig] in
            guard once.claim() else { return }
            _ = try? await rig.erasures().request(Self.ann)
            _ = try? await rig.worker().pass()
        }
        rig.broker.enqueue([message([act("a", "ann-of-tests"), act("b", "bob")], request: "r", reportRequested: true).body])
        try await rig.process { try await !store.reports(project: Project.default, request: "r").isEmpty }
        #expect(store.events.map(\.event.id) == ["b"])
        #expect(try await store.reports(project: Project.default, request: "r").first?.erased == 1)
        try await rig.expectExact(["b"])
    }

    @Test func aTombstoneThatIsNotDurableYetHoldsTheFlush() async throws {
        rig.broker.enqueue([delivery([act("a", "ann-of-tests")])])
        _ = try await rig.erasures().request(Self.ann)
        let (isDown, tries) = (Flag(), Counting())
        isDown.isTaken = true
        // What only the newest read sees may be undone.
        store.beforeRead { (name) throws(StoreError) in
            if name == "erasures", isDown.isTaken {
                tries.next()
                throw StoreError(.unavailable, operation: name, "no majority")
            }
        }
        let task = rig.rig.start(rig.rig.processor(flushInterval: .milliseconds(1)))
        try await eventually("it tries again") { tries.value > 2 }
        #expect(rig.broker.acknowledged.isEmpty && store.events.isEmpty)
        isDown.isTaken = false
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(store.events.isEmpty)
    }

    @Test func whetherATombstoneIsDurableIsAskedOnceForEachVersion() async throws {
        _ = try await rig.erasures().request(Self.ann)
        let (durable, newest) = (Counting(), Counting())
        store.beforeRead { (name) throws(StoreError) in
            if name == "erasures" { durable.next() }
            if name == "newestErasures" { newest.next() }
        }
        let processor = rig.rig.processor(flushEvents: 1, flushInterval: .milliseconds(1))
        rig.broker.enqueue((0..<20).map { delivery([act("e\($0)", "ann-of-tests")]) })
        try await rig.process(processor)
        // Two flushes may ask at a time.
        #expect((1...2).contains(durable.value) && (1...2).contains(newest.value))
        _ = try await rig.erasures("other").request(Selection(project: Project.default, userIds: ["bob"]))
        rig.broker.enqueue((0..<20).map { delivery([act("f\($0)", "bob")]) })
        try await rig.process(processor)
        #expect(store.events.isEmpty && durable.value <= 6 && newest.value <= 4)
    }

    @Test func aProjectsTombstonesTakeNoMoreThanAWriterCanHold() async throws {
        let salt = Salt.random()
        func plant(_ id: String, _ count: Int) async throws {
            var tombstone = Tombstone(Selection(project: Project.default, userIds: [id]), salt: salt, until: noon)
            tombstone.identified = Set((0..<UInt64(count)).map { SaltedDigest(high: UInt64(id.utf8.count), low: $0) })
            var erasure = Erasure(project: Project.default, id: id, tombstone: tombstone, selection: nil)
            erasure.state = .done
            #expect(try await store.announce(erasure, replacing: 0))
        }
        for number in 0..<10 { try await plant(String(repeating: "x", count: number + 1), 100_000) }
        let few = try await rig.erasures("few").request(Self.ann)
        try await plant("last", 48_000)
        try await put((0..<501).map { act("l\($0)", "ann-of-tests", "device \($0)", type: "$identify") })
        await #expect(throws: ErasureError.tooLarge) {
            let users = (0..<1_000).map { "u\($0)" }
            _ = try await rig.erasures("many").request(Selection(project: Project.default, userIds: users))
        }
        try await rig.worker().pass()
        let failed = try await rig.erasures().erasure(few.id, of: Project.default)
        #expect(failed?.state == .failed && failed?.failure?.contains("16 MiB") == true && failed?.selection == nil)
    }

    @Test func whatAServerStoresLateGoesInTheSecondPass() async throws {
        try await put(people())
        let erasure = try await rig.erasures().request(Self.ann)
        let worker = rig.worker()
        try await worker.pass()
        store.plant(stored(act("e0", "ann-of-tests")))
        rig.advance(by: .seconds(3_700))
        try await worker.pass()
        #expect(try await rig.erasures().erasure(erasure.id, of: Project.default)?.state == .settling, "once more")
        #expect(store.events.allSatisfy { $0.event.userId == "bob" })
        try await rig.finish(worker)
        try await rig.expectExact(["e1", "e4", "e7", "e10"])
    }

    @Test func deadLettersOfTheErasedGoAndAllOthersStay() async throws {
        func letter(_ event: Event, _ reason: DeadLetterReason = .conflict) -> OutgoingMessage {
            DeadLetter(
                reason: reason, error: "", attempts: 1, at: noon, project: event.project, eventId: event.id,
                original: EnvelopeEncoder.single(event, origin: RequestOrigin())
            ).message()
        }
        let letters = [
            letter(act("1", "ann-of-tests")), letter(act("2", "bob")), letter(act("3", nil, "device-of-ann"), .expired),
            letter(act("4", "ann-of-tests", received: noon + .seconds(60))), letter(act("5"), .undecodable),
            DeadLetter(
                reason: .conflict, error: "", attempts: 1, at: noon, project: Project.default, eventId: "6", original: Array("{}".utf8)
            ).message(),
        ]
        try await put(people())
        _ = await rig.broker.publish(letters, to: .deadLetters)
        let erasure = try await rig.erasures().request(Self.ann)
        try await rig.finish()
        #expect(rig.broker.dead.compactMap { try? DeadLetterDecoder().decode($0).eventId } == ["2", "4", "5", "6"])
        let done = try await rig.erasures().erasure(erasure.id, of: Project.default)
        #expect(done?.deletedDeadLetters == 2 && done?.unreadDeadLetters == 2)
    }

    @Test func oneRequestIsOneErasureUntilItIsDone() async throws {
        try await put(people())
        let first = try await rig.erasures("a").request(Self.ann)
        try await rig.worker().pass()
        try await write([act("late", "ann-of-tests", received: noon + .seconds(5))], to: store)
        rig.advance(by: .seconds(10))
        let second = try await rig.erasures("b").request(Self.ann)
        #expect(second.id == first.id && second.requestedAt == noon + .seconds(10) && second.state == .requested)
        let other = try await rig.erasures("c").request(Selection(project: Project.default, userIds: ["bob"]))
        #expect(other.id != first.id)
        try await rig.finish()
        try await rig.expectExact([])
        let third = try await rig.erasures("d").request(Self.ann)
        #expect(third.id != first.id)
        await #expect(throws: ErasureError.everything) { try await rig.erasures().request(Selection(project: Project.default)) }
        #expect(try await rig.erasures().list(of: Project.default).count == 3)
        #expect(try await rig.erasures().list(of: "other").isEmpty)
    }

    @Test func eventsThatABackupBringsBackGoOnceMore() async throws {
        try await put(people())
        let erasure = try await rig.erasures().request(Self.ann)
        try await rig.finish()
        let done = try #require(try await rig.erasures().erasure(erasure.id, of: Project.default))
        let exported = try #require(ExportedErasure(done)).text
        #expect(!exported.contains("ann"))

        // The events alone, and the tombstone is there.
        try await put(people())
        #expect(try await rig.erasures().again("unknown", of: Project.default) == nil)
        #expect(try await rig.erasures().again(erasure.id, of: Project.default)?.isOpen == true)
        try await rig.finish()
        try await rig.expectExact(["e1", "e4", "e7", "e10"])

        // The whole of an older store.
        let older = ErasureRig()
        try await write(people(), to: older.store)
        let restored = try #require(ExportedErasure(exported))
        #expect(try await older.erasures().restore(restored).id == erasure.id)
        try await older.finish()
        try await older.expectExact(["e1", "e4", "e7", "e10"])
        for text in ["", "p a", "p a 0", "p a zz", "P a 00", exported + "0", String(exported.dropLast(2)), exported + " x"] {
            #expect(ExportedErasure(text) == nil, "\(text)")
        }
    }

    /// The store was restored to an earlier state of the same erasure.
    @Test func anImportOfWhatIsKnownCoversWhatEitherDoes() async throws {
        let first = try await rig.erasures().request(Self.ann)
        let older = try #require(ExportedErasure(first))
        var newer = first
        newer.restart(until: noon + .seconds(60))
        newer.identify(["device-of-ann"])
        try await put([
            act("a", "ann-of-tests", received: noon + .seconds(60)), act("b", nil, "device-of-ann"),
            act("c", "ann-of-tests", received: noon + .seconds(61)),
        ])
        let later = try #require(ExportedErasure(newer))
        let restored = try await rig.erasures().restore(later)
        #expect(restored.id == first.id && restored.requestedAt == noon + .seconds(60))
        #expect(try await rig.erasures().restore(older).requestedAt == noon + .seconds(60))
        try await rig.finish()
        try await rig.expectExact(["c"])
    }

    @Test func anErasureIsOneWorkersAtATime() async throws {
        try await put(people())
        let erasure = try await rig.erasures().request(Self.ann)
        // The first dies in the middle of its work.
        rig.faults.crash(afterMoments: 9)
        _ = try? await rig.worker("first").pass()
        #expect(rig.faults.hasCrashed)
        rig.restart()
        let left = store.events.count
        let second = rig.worker("second")
        try await second.pass()
        #expect(store.events.count == left, "the lease stands")
        rig.advance(by: .seconds(121))
        try await second.pass()
        #expect(try await rig.erasures().erasure(erasure.id, of: Project.default)?.state == .settling)
        try await rig.finish(second)
        try await rig.expectExact(["e1", "e4", "e7", "e10"])
    }

    @Test func anErasureIsNotDoneWhileASegmentHasARunOfBefore() async throws {
        try await put(people())
        let erasure = try await rig.erasures().request(Self.ann)
        func state() async throws -> Erasure.State? { try await rig.erasures().erasure(erasure.id, of: Project.default)?.state }
        let worker = rig.worker()
        try await worker.pass()
        rig.advance(by: .seconds(3_700))
        // No builder was at work since.
        try await worker.pass()
        #expect(try await state() == .verifying && store.storedBytes.hold("ann-of-tests"))
        try await rig.settle()
        rig.advance(by: .seconds(31))
        try await worker.pass()
        #expect(try await state() == .done && !store.storedBytes.hold("ann-of-tests"))
    }

    @Test func filesAreWrittenAnewOnceForAllErasuresThatWait() async throws {
        try await put(people())
        let letters = SlowLetters(rig)
        let worker = rig.worker(letters: letters)
        func states() async throws -> [Erasure.State] {
            try await rig.erasures().list(of: Project.default).sorted { $0.id < $1.id }.map(\.state)
        }
        func pass() async throws {
            try await rig.settle()
            try await worker.pass()
        }
        for user in ["ann-of-tests", "bob"] {
            _ = try await rig.erasures(user).request(Selection(project: Project.default, userIds: [user]))
        }
        try await pass()
        try await rig.settle()
        rig.advance(by: .seconds(60))
        _ = try await rig.erasures("carl").request(Selection(project: Project.default, userIds: ["carl"]))
        try await pass()
        rig.advance(by: .seconds(3_610))
        letters.fails.isTaken = true
        try await pass()
        try await pass()
        #expect(try await states() == [.cleaning, .cleaning, .settling])
        #expect(letters.tries.value == 1 && !rig.faults.trace.contains(.overwrite), "the store's files wait for the queue's")
        rig.advance(by: .seconds(31))
        letters.fails.isTaken = false
        try await pass()
        #expect(try await states() == [.done, .done, .settling])
        #expect(letters.tries.value == 2 && rig.faults.trace.count { $0 == .overwrite } == 1)
        // That took ten seconds; the next begins 200 seconds later.
        rig.advance(by: .seconds(60))
        try await pass()
        try await pass()
        #expect(try await states() == [.done, .done, .cleaning] && letters.tries.value == 2)
        rig.advance(by: .seconds(140))
        try await pass()
        #expect(try await states() == [.done, .done, .done] && letters.tries.value == 3)
    }

    @Test func countsBelowTheWatermarkStayAndTheEventsGo() async throws {
        try await put(people())
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(3_600))
        _ = try await rig.erasures().request(Self.ann)
        try await rig.finish()
        #expect(Set(store.events.map(\.event.id)) == ["e1", "e4", "e7", "e10"])
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        // The first is counted for ever.
        #expect(try await engine.counts(CountQuery(project: Project.default)).counts.total == 5)
        #expect(store.buckets(.minute).allSatisfy { !$0.dirty })
    }

    @Test func aDamagedTombstoneHoldsEverythingBack() async throws {
        _ = try await rig.erasures().request(Self.ann)
        store.editErasures { $0[$0.count / 2] ^= 1 }
        rig.broker.enqueue([delivery([act("a", "ann-of-tests")])])
        let reads = rig.faults.attempts(at: .read)
        let task = rig.rig.start(rig.rig.processor(flushInterval: .milliseconds(1)))
        try await eventually("it tries again") { reads.value > 8 }
        task.cancel()
        #expect(await ends(task))
        #expect(store.events.isEmpty && rig.broker.acknowledged.isEmpty)
        #expect(try await !rig.worker().pass())
    }
}

/// Dead letters whose file takes ten seconds to be written anew.
private final class SlowLetters: DeadLetterEraser {
    private let rig: ErasureRig
    let fails = Flag()
    let tries = Counting()

    init(_ rig: ErasureRig) {
        self.rig = rig
    }

    func eraseDeadLetters(where isErased: @escaping @Sendable (DeadLetter) -> Bool?) async throws(BrokerError) -> DeadLetterErasure {
        DeadLetterErasure()
    }

    func overwriteDeleted() async throws(BrokerError) {
        tries.next()
        if fails.isTaken { throw BrokerError(.unavailable, "too many messages wait") }
        rig.advance(by: .seconds(10))
    }
}
