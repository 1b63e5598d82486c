import ServiceLifecycle
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct KeyDirectoryTests {
    private let store = FakeKeyStore()
    private let clock = ManualClock()
    private let key = APIKey(project: "shop", scope: .write)
    private let directory: KeyDirectory

    init() {
        store.add([StoredKey(key)])
        directory = KeyDirectory(store: store, clock: clock.wall, elapsed: clock.elapsed, logger: quiet)
    }

    @discardableResult
    private func use(_ key: APIKey? = nil, from peer: String = "192.0.2.1") async throws -> StoredKey {
        try await directory.key(key ?? self.key, from: peer)
    }

    @Test func aKeyIsReadAtItsFirstUseAndAgainAfter15Seconds() async throws {
        for _ in 0..<3 { #expect(try await use().digest == key.digest) }
        #expect(store.reads == [key.digest.keyID])
        clock.advance(by: .seconds(15) - .milliseconds(1))
        try await use()
        #expect(store.reads.count == 1)
        clock.advance(by: .milliseconds(1))
        try await use()
        try await use()
        #expect(store.reads.count == 2)
    }

    @Test(arguments: [0, 7, 14, 29])
    func aRevocationIsSeenWithin30SecondsOfAnyUse(secondsBetween: Int) async throws {
        try await use()
        try await store.revokeKey(key.digest.keyID, at: noon)
        var passed = 0
        do {
            while passed <= 100 {
                try await use()
                passed += max(1, secondsBetween)
                clock.advance(by: .seconds(max(1, secondsBetween)))
            }
        } catch {
            #expect(error as? KeyRefusal == .revoked)
        }
        #expect(passed <= 30)
    }

    @Test func whoAsksWhileAKeyIsReadWaitsForThatRead() async throws {
        store.hang()
        let asking = Counting()
        let tasks = (0..<50).map { _ in
            Task {
                asking.next()
                return try await use()
            }
        }
        try await eventually("all ask") { asking.value == 50 && store.reads.count == 1 }
        store.release()
        for task in tasks { #expect(try await task.value.digest == key.digest) }
        #expect(store.reads.count == 1)
    }

    @Test func aCallerThatLeavesTakesTheReadFromNobody() async throws {
        store.hang()
        let first = Task { try await use() }
        try await eventually("it is read") { store.reads.count == 1 }
        let second = Task { try await use() }
        first.cancel()
        store.release()
        #expect(try await second.value.digest == key.digest)
        #expect(store.reads.count == 1)
    }

    @Test func aKeyThatDoesNotExistIsRememberedToo() async throws {
        let wrong = APIKey(project: "shop", scope: .write)
        for _ in 0..<3 { await #expect(throws: KeyRefusal.unknown) { try await use(wrong) } }
        #expect(store.reads == [wrong.digest.keyID])
        clock.advance(by: .seconds(15))
        store.add([StoredKey(wrong)])
        try await use(wrong)
        #expect(store.reads.count == 2)
    }

    @Test func aKeyExpiresAtItsMomentWithoutARead() async throws {
        store.edit(key.digest.keyID) { $0.expiresAt = noon + .seconds(10) }
        try await use()
        clock.advance(by: .seconds(10) - .milliseconds(1))
        try await use()
        clock.advance(by: .milliseconds(1))
        await #expect(throws: KeyRefusal.expired) { try await use() }
        #expect(store.reads.count == 1)
        store.edit(key.digest.keyID) { $0.revokedAt = noon }
        clock.advance(by: .seconds(15))
        await #expect(throws: KeyRefusal.revoked) { try await use() }
    }

    // MARK: Without the store

    @Test func whileTheStoreIsDownKnownKeysStayInUseForAnHourAndUnknownOnesAreRefused() async throws {
        try await use()
        store.down()
        for _ in 0..<240 {
            clock.advance(by: .seconds(15))
            try await use()
        }
        await #expect(throws: KeyRefusal.unavailable) { try await use(APIKey(project: "shop", scope: .read)) }
        clock.advance(by: .seconds(15))
        await #expect(throws: KeyRefusal.unavailable) { try await use() }
        store.down(false)
        await #expect(throws: KeyRefusal.unavailable) { try await use() }
        clock.advance(by: .seconds(1))
        try await use()
    }

    @Test func theStoreIsTriedAgainAfterASecond() async throws {
        try await use()
        store.down()
        clock.advance(by: .seconds(15))
        for _ in 0..<10 { try await use() }
        #expect(store.reads.count == 2)
        clock.advance(by: .seconds(1))
        for _ in 0..<10 { try await use() }
        #expect(store.reads.count == 3)
    }

    @Test func aStoreThatHangsHoldsNobodyForMoreThanTwoSeconds() async throws {
        try await use()
        clock.advance(by: .seconds(15))
        store.hang()
        let known = Task { try await use() }
        let unknown = Task { try await use(APIKey(project: "shop", scope: .read)) }
        try await eventually("both wait") { clock.sleeping.count == 2 }
        clock.advance(by: .seconds(2))
        #expect(try await known.value.digest == key.digest)
        await #expect(throws: KeyRefusal.unavailable) { try await unknown.value }
        store.release()
    }

    @Test func whileTheStoreHangsOneTriesAndTheOthersGoOn() async throws {
        try await use()
        store.down()
        clock.advance(by: .seconds(15))
        try await use()
        store.hang()
        clock.advance(by: .seconds(1))
        let first = Task { try await use() }
        try await eventually("it is read") { store.reads.count == 3 && clock.sleeping.count == 1 }
        for _ in 0..<10 { try await use() }
        #expect(store.reads.count == 3)
        store.release()
        #expect(try await first.value.digest == key.digest)
    }

    // MARK: Floods

    @Test func ofFiveThousandWrongKeysInASecondAtMostAHundredAreReadAndARightOneIsServed() async throws {
        try await use()
        var refused = 0
        for tick in 0..<50 {
            for number in 0..<100 {
                let wrong = APIKey(project: "shop", scope: .write)
                do throws(KeyRefusal) {
                    _ = try await directory.key(wrong, from: "10.0.\(tick).\(number)")
                    Issue.record("a wrong key was accepted")
                } catch {
                    switch error {
                    case .unknown: break
                    case .tooManyUnknown(let retryAfter):
                        refused += 1
                        #expect(retryAfter > .zero && retryAfter <= .seconds(1))
                    case .revoked, .expired, .unavailable: Issue.record("\(error)")
                    }
                }
            }
            try await use()
            clock.advance(by: .milliseconds(20))
        }
        #expect(store.reads.count <= 101 && store.reads.count > 50 && refused == 5_000 - (store.reads.count - 1))
        #expect(store.reads.count(where: { $0.equalsUTF8(key.digest.keyID) }) == 1)
    }

    @Test func keysThatExistAreKnownFromTheStartWithoutALookUp() async throws {
        var others = (0..<200).map { _ in StoredKey(APIKey(project: "shop", scope: .read)) }
        others[0].revokedAt = noon
        others[1].expiresAt = noon
        store.add(others)
        await directory.list()
        for number in 0..<100 { _ = try? await use(APIKey(project: "shop", scope: .read), from: "10.0.0.\(number)") }
        let reads = store.reads.count
        try await use()
        #expect(store.reads.count == reads)
        await directory.list()
        #expect(store.lists == 1)
    }

    @Test func aListThatFailsIsMadeLater() async throws {
        store.down()
        await directory.list()
        store.down(false)
        await directory.list()
        try await use()
        #expect(store.lists == 2 && store.reads.isEmpty)
    }

    // MARK: Uses

    @Test func theLastUseIsWrittenOncePerHour() async throws {
        let id = key.digest.keyID
        for _ in 0..<3 { try await use() }
        await directory.writeUses()
        #expect(store.writtenUses == [[id: noon]])
        clock.advance(by: .seconds(3_600) - .milliseconds(1))
        try await use()
        await directory.writeUses()
        #expect(store.writtenUses.count == 1)
        clock.advance(by: .milliseconds(1))
        try await use()
        await directory.writeUses()
        #expect(store.writtenUses == [[id: noon], [id: noon + .seconds(3_600)]])
    }

    @Test func aRefusedKeyIsNotUsed() async throws {
        store.edit(key.digest.keyID) { $0.expiresAt = noon }
        await #expect(throws: KeyRefusal.expired) { try await use() }
        await #expect(throws: KeyRefusal.unknown) { try await use(APIKey(project: "shop", scope: .read)) }
        await directory.writeUses()
        #expect(store.writtenUses.isEmpty)
    }

    @Test func usesThatTheStoreDoesNotTakeAreWrittenLater() async throws {
        try await use()
        store.down()
        await directory.writeUses()
        store.down(false)
        await directory.writeUses()
        #expect(store.writtenUses == [[key.digest.keyID: noon]])
    }

    @Test func usesAreWrittenEveryMinuteAndAtTheEnd() async throws {
        let id = key.digest.keyID
        try await testGracefulShutdown { trigger in
            let task = Task { try await directory.run() }
            try await eventually("it waits for the next minute") { clock.sleeping.contains { $0 > .seconds(30) } }
            try await use()
            clock.advance(by: .seconds(90))
            try await eventually("the use is written") { store.writtenUses == [[id: noon]] }
            try await eventually("it waits again") { clock.sleeping.contains { $0 > .seconds(30) } }
            clock.advance(by: .seconds(3_600))
            try await eventually("it waits again") { clock.sleeping.contains { $0 > .seconds(30) } }
            try await use()
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        #expect(store.writtenUses == [[id: noon], [id: noon + .seconds(3_600)]])
    }
}
