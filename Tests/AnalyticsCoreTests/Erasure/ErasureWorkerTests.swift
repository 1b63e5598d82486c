import TestSupport
import Testing

@testable import AnalyticsCore

/// Erasures that fail, begin again, or have more to do than they were asked for.
@Suite(.timeLimit(.minutes(5)))
struct ErasureWorkerTests {
    private let rig = ErasureRig()
    private var store: MemoryStore { rig.store }
    private static let ann = Selection(project: Project.default, userIds: ["ann-of-tests"])

    private func put(_ events: [Event]) async throws {
        try await write(events, to: store)
        try await rig.settle()
    }

    private func erasure(_ id: String) async throws -> Erasure {
        try #require(try await rig.erasures().erasure(id, of: Project.default))
    }

    private func plant(
        _ id: String, _ user: String = "ann-of-tests", salt: Salt = .random(), _ edit: (inout Erasure) -> Void
    ) async throws {
        let selection = Selection(project: Project.default, userIds: [user])
        var erasure = Erasure(
            project: Project.default, id: id, tombstone: Tombstone(selection, salt: salt, until: noon), selection: selection)
        edit(&erasure)
        #expect(try await store.announce(erasure, replacing: 0))
    }

    /// Whose a device is, is not known any more: it would be done with everything still there.
    @Test func whatHasFailedIsNotRunOnceMore() async throws {
        try await plant("x") { _ in }
        let whole = try await erasure("x")
        let exported = try #require(ExportedErasure(whole))
        try await plant("y", "bob") { erasure in
            (erasure.state, erasure.failure) = (.failed, "too many")
            erasure.forget()
        }
        await #expect(throws: ErasureError.failed) { try await rig.erasures().again("y", of: Project.default) }
        #expect(try await erasure("y").state == .failed)
        let failed = try await erasure("y")
        #expect(ExportedErasure(failed) == nil)
        // It had not failed when it was exported.
        store.editErasures { bytes in
            guard var erasure = try? Erasure(project: Project.default, id: "x", encoded: bytes) else { return }
            erasure.state = .failed
            bytes = erasure.encoded
        }
        #expect(try await rig.erasures().restore(exported).state == .failed)
        #expect(try await rig.worker().pass(), "nothing is open")
    }

    /// Events are deleted, by a worker or a flush that died before it had marked them, and then there is no further pass.
    @Test(arguments: 0..<3)
    func anErasureThatFailsLeavesNothingUnmarked(place: Int) async throws {
        try await put([act("a", "ann-of-tests"), act("b", "bob", at: 60)])
        store.delete(id: "a")
        try await plant("x") { erasure in
            switch place {
            case 0: erasure.walk.slice = noon..<noon + .milliseconds(1)
            case 1: erasure.repairs = [noon.day..<noon.day + 1]
            default: erasure.repaired = [noon.day..<noon.day + 1]
            }
            erasure.links = (0...ErasureIdentities.limit).map { .init(anonymousId: "d\($0)", user: "ann-of-tests", time: noon) }
        }
        try await rig.worker().pass()
        let failed = try await erasure("x")
        #expect(failed.state == .failed && failed.failure?.contains("anonymous ids") == true && !failed.hasRepairs)
        try await rig.expectExact(["b"], "place \(place)")
    }

    /// The late link is somebody else's, and a flush has deleted an event of another day and died before it had marked it.
    @Test func aLateLinkOfSomebodyElsesDoesNotPassByWhatIsToBeMarked() async throws {
        try await put([
            act("1", "bob", "shared", type: "$identify"), act("2", "ann-of-tests"), act("x", "carl", at: 90_000),
            act("3", "carl", at: 90_060),
        ])
        let id = try await rig.erasures().request(Self.ann).id
        try await rig.finish()
        rig.broker.enqueue([delivery([act("4", "ann-of-tests", "shared", type: "$identify", at: 5)])])
        try await rig.process()
        var open = try await erasure(id)
        #expect(open.state == .requested && open.links.count == 1)
        let isNew = open.note([(noon + .seconds(90_000)).day])
        let revision = try #require(try await store.erasures(of: Project.default).first?.revision)
        let isWritten = try await store.announce(open, replacing: revision)
        #expect(isNew && isWritten)
        store.delete(id: "x")
        try await rig.finish()
        try await rig.expectExact(["1", "3"])
    }

    /// A link comes while files are written anew, and is somebody else's: its text is in the record for a moment after that.
    @Test func filesAreWrittenAnewOnceMoreForWhatComesMeanwhile() async throws {
        try await put([act("1", "bob", "shared", type: "$identify"), act("2", "ann-of-tests")])
        let id = try await rig.erasures().request(Self.ann).id
        let letters = BusyLetters { [rig] in
            rig.broker.enqueue([delivery([act("3", "ann-of-tests", "shared", type: "$identify", at: 5)])])
            try? await rig.process()
        }
        try await rig.finish(rig.worker(letters: letters))
        #expect(try await erasure(id).state == .done && rig.broker.acknowledged.count == 1)
        #expect(rig.faults.trace.count { $0 == .overwrite } == 2)
        try await rig.expectExact(["1"])
    }

    @Test func anImportOfWhatIsKnownTakesNoMoreThanAWriterCanHold() async throws {
        let salt = Salt.random()
        func ids(_ kind: UInt64, _ count: Int) -> Set<SaltedDigest> { Set((0..<UInt64(count)).map { SaltedDigest(high: kind, low: $0) }) }
        try await plant("x", salt: salt) { $0.tombstone.identified = ids(0, 2_000) }
        let whole = try await erasure("x")
        let exported = try #require(ExportedErasure(whole))
        store.editErasures { bytes in
            guard var erasure = try? Erasure(project: Project.default, id: "x", encoded: bytes) else { return }
            erasure.tombstone.identified = []
            erasure.state = .done
            bytes = erasure.encoded
        }
        for number in 1...11 {
            try await plant("other \(number)", "bob", salt: salt) { erasure in
                erasure.tombstone.identified = ids(UInt64(number), number == 11 ? 47_500 : 100_000)
                erasure.state = .done
            }
        }
        await #expect(throws: ErasureError.tooLarge) { try await rig.erasures().restore(exported) }
        #expect(try await erasure("x").state == .done)
    }
}

/// Dead letters of which something else happens, once, while their file is written anew.
private final class BusyLetters: DeadLetterEraser {
    private let meanwhile: @Sendable () async -> Void
    private let once = Once()

    init(_ meanwhile: @escaping @Sendable () async -> Void) {
        self.meanwhile = meanwhile
    }

    func eraseDeadLetters(where isErased: @escaping @Sendable (DeadLetter) -> Bool?) async throws(BrokerError) -> DeadLetterErasure {
        DeadLetterErasure()
    }

    func overwriteDeleted() async throws(BrokerError) {
        if once.claim() { await meanwhile() }
    }
}
