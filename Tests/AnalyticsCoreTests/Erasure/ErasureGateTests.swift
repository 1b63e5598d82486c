import TestSupport
import Testing

@testable import AnalyticsCore

/// What a flush asks of erasures: when it hands links over, when it waits, and when it goes on.
@Suite(.timeLimit(.minutes(5)))
struct ErasureGateTests {
    private let rig = ErasureRig()
    private var store: MemoryStore { rig.store }
    private static let ann = Selection(project: Project.default, userIds: ["ann-of-tests"])
    private static let later = noon + .milliseconds(1)

    private func put(_ events: [Event]) async throws {
        try await write(events, to: store)
        try await rig.settle()
    }

    private func records() async throws -> ProjectRecords { ProjectRecords(try await store.newestRecords(of: [Project.default])) }

    /// More than wait at a time where several flushes bring them: one that never fits would hold all that is behind it for ever.
    @Test func aFlushHandsOverAllOfItsLinksAtOnce() async throws {
        let count = Erasure.lateLinks + 500
        try await put((0..<count).map { act("e\($0)", nil, "device-\($0)") })
        _ = try await rig.erasures().request(Self.ann)
        let links = (0..<count).map { act("i\($0)", "ann-of-tests", "device-\($0)", type: "$identify") }
        rig.broker.enqueue(stride(from: 0, to: count, by: 100).map { delivery(Array(links[$0..<$0 + 100])) })
        try await rig.process(rig.rig.processor(flushEvents: count, flushInterval: .seconds(60)))
        try await rig.finish()
        try await rig.expectExact([])
    }

    @Test func ofEachDeviceAndUserTheEarliestLinkWaits() async throws {
        try await put([act("a", nil, "device-of-ann")])
        let erasure = try await rig.erasures().request(Self.ann)
        let links = (0..<Erasure.lateLinks + 500).map {
            act("i\($0)", "ann-of-tests", "device-of-ann", type: "$identify", at: 7 * $0 % 1_501)
        }
        rig.broker.enqueue(stride(from: 0, to: links.count, by: 100).map { delivery(Array(links[$0..<$0 + 100])) })
        try await rig.process(rig.rig.processor(flushEvents: 300, flushInterval: .milliseconds(1)))
        let waiting = try await rig.erasures().erasure(erasure.id, of: Project.default)?.links
        #expect(waiting == [Erasure.LateLink(anonymousId: "device-of-ann", user: "ann-of-tests", time: noon)])
        try await rig.finish()
        try await rig.expectExact([])
    }

    /// Whether the old event is covered is not known before the worker has looked up whose the device is.
    @Test(arguments: [
        act("x", nil, "device-of-ann", received: later), act("x", nil, "device-of-ann", at: 120, received: later, data: #"{"n":1}"#),
        act("x", "bob", received: later),
    ])
    func anIdOfADeviceThatMayBeTheErasedUsersIsNotLost(again: Event) async throws {
        try await put([
            act("i", "ann-of-tests", "device-of-ann", type: "$identify"), act("x", nil, "device-of-ann"), act("y", nil, "other"),
        ])
        _ = try await rig.erasures().request(Self.ann)
        let looks = Counting()
        store.beforeRead { (name) throws(StoreError) in if name == "newestErasures" { looks.next() } }
        let task = rig.rig.start(rig.rig.processor(flushInterval: .milliseconds(1)))
        rig.broker.enqueue([message([again], request: "again").body])
        try await eventually("it asks again") { looks.value > 2 }
        #expect(rig.broker.acknowledged.isEmpty)
        let worker = rig.worker()
        try await worker.pass()
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        try await rig.finish(worker)
        try await rig.expectExact(["x", "y"])
        #expect(store.events.first { $0.event.id == "x" }?.event.receivedAt == Self.later && rig.broker.dead.isEmpty)
    }

    @Test func aFlushWaitsForAnonymousIdsNoLongerThanAMinute() async throws {
        try await put([act("x", nil, "device"), act("y", "bob", "device")])
        _ = try await rig.erasures().request(Selection(project: Project.default, types: ["view"], userIds: ["ann-of-tests"]))
        let (gate, records) = (ErasureGate(store: store, clock: rig.clock), try await records())
        func freed(_ event: Event, _ outcome: InsertOutcome) async throws -> [Int] {
            try await gate.freeIds(of: [stored(event)], [outcome], by: records)
        }
        let again = act("x", nil, "device", received: Self.later)
        await #expect(throws: StoreError.self) { try await freed(again, .duplicate(heldAt: noon)) }
        await #expect(throws: StoreError.self) { try await freed(again, .conflict(heldAt: noon)) }
        // What was accepted before the request goes with the old one, and that of a user is known to be theirs.
        #expect(try await freed(act("x", nil, "device"), .duplicate(heldAt: noon)) == [])
        #expect(try await freed(act("y", "bob", "device", received: Self.later), .duplicate(heldAt: noon)) == [])
        rig.advance(by: ErasureGate.identification)
        #expect(try await freed(again, .duplicate(heldAt: noon)) == [])
    }

    /// The one has read less than the other, under the same version.
    @Test func whatOneFlushKnowsToBeDurableIsNotWhatAnotherHasRead() async throws {
        _ = try await rig.erasures("a").request(Self.ann)
        let (gate, before) = (ErasureGate(store: store, clock: rig.clock), try await records())
        let (once, rig) = (Once(), rig)
        store.beforeRead { (name) throws(StoreError) in
            guard name == "erasures", once.claim() else { return }
            _ = try? await rig.erasures("b").request(Selection(project: Project.default, userIds: ["bob"]))
            let after = ProjectRecords(try await rig.store.newestRecords(of: [Project.default]))
            for records in [after, before] { _ = try await gate.covered([stored(act("c", "carl"))], by: records) }
        }
        #expect(try await gate.covered([stored(act("a", "ann-of-tests"))], by: before) == [0])
        let asked = Counting()
        store.beforeRead { (name) throws(StoreError) in
            guard name == "erasures" else { return }
            asked.next()
            throw StoreError(.unavailable, operation: name, "no majority")
        }
        await #expect(throws: StoreError.self) { try await gate.covered([stored(act("b", "bob"))], by: before) }
        #expect(asked.value == 1)
    }
}
