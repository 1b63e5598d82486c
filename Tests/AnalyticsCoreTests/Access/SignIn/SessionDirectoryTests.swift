import Foundation
import ServiceLifecycle
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct SessionDirectoryTests {
    private let rig = SignInRig()

    private var memory: MemoryStore { rig.store.memory }

    /// A session of Ann, which the directory has not seen yet.
    private func enter() async throws -> NewSession {
        try await rig.access.account(.ann, roles: ["shop": .viewer])
        return try await rig.enter()
    }

    @discardableResult
    private func use(_ token: SessionToken) async throws -> SignedIn { try await rig.session(token) }

    private func stored(_ new: NewSession) async throws -> Session? {
        try await memory.record(.session, new.session.id).map { try Session($0) }
    }

    // MARK: Reading

    @Test func aSessionAndItsAccountAreReadAtTheFirstUseAndAgainAfter15Seconds() async throws {
        let new = try await enter()
        let before = memory.queries
        for _ in 0..<3 { #expect(try await use(new.token) == new.signedIn) }
        #expect(memory.queries == before + 2)
        rig.clock.advance(by: .seconds(15) - .milliseconds(1))
        try await use(new.token)
        #expect(memory.queries == before + 2)
        rig.clock.advance(by: .milliseconds(1))
        try await use(new.token)
        try await use(new.token)
        #expect(memory.queries == before + 4)
    }

    @Test func whoUsesASessionWhileItIsReadWaitsForThatRead() async throws {
        let new = try await enter()
        let (before, asking) = (memory.queries, Counting())
        memory.beforeRead { _ in try? await eventually("all ask") { asking.value == 40 } }
        let tasks = (0..<40).map { _ in
            Task {
                asking.next()
                return try await use(new.token)
            }
        }
        for task in tasks { #expect(try await task.value == new.signedIn) }
        // One may come just when the read has ended.
        #expect(memory.queries < before + 40)
    }

    @Test func aRoleThatIsTakenAwayIsOutOfForceAfter15Seconds() async throws {
        let new = try await enter()
        #expect(try await use(new.token).account.role(in: "shop") == .viewer)
        try await rig.change { $0.roles = [:] }
        #expect(try await use(new.token).account.role(in: "shop") == .viewer)
        rig.clock.advance(by: .seconds(15))
        #expect(try await use(new.token).account.role(in: "shop") == nil)
    }

    @Test func aTokenWithTheIdOfASessionAndAnotherDigestIsNotItsToken() async throws {
        let new = try await enter()
        var record = try #require(try await memory.record(.session, new.session.id))
        var bytes = new.token.digest.bytes
        bytes[KeyDigest.byteCount - 1] ^= 1
        let (own, other) = (Data(new.token.digest.bytes).base64EncodedString(), Data(bytes).base64EncodedString())
        record.body = Array(String(decoding: record.body, as: UTF8.self).replacing(own, with: other).utf8)
        record.revision += 1
        #expect(try await memory.write(record))
        await #expect(throws: SessionRefusal.unknown) { try await use(new.token) }
    }

    // MARK: The end

    @Test(arguments: [0, 1, 2, 3])
    func aSessionHasEndedWithin15SecondsOfItsEndInTheStore(way: Int) async throws {
        let new = try await enter()
        try await use(new.token)
        switch way {
        case 0: try await memory.removeRecords(.session, [new.session.id])
        case 1: try await memory.removeRecords(.account, [new.account.id])
        case 2: try await rig.change { $0.epoch = "ffffffffffffffff" }
        default: try await rig.change { $0.disabledAt = noon }
        }
        try await use(new.token)
        rig.clock.advance(by: .seconds(15))
        await #expect(throws: SessionRefusal.unknown) { try await use(new.token) }
        await #expect(throws: SessionRefusal.unknown) { try await rig.sessionElsewhere(new.token) }
    }

    @Test func itEndsAfterSevenDaysWithoutUse() async throws {
        let new = try await enter()
        try await use(new.token)
        rig.clock.advance(by: .seconds(7 * 86_400) - .milliseconds(1))
        try await use(new.token)
        rig.clock.advance(by: .seconds(7 * 86_400))
        await #expect(throws: SessionRefusal.unknown) { try await use(new.token) }
    }

    @Test func itEndsAfterThirtyDaysAtItsMomentHoweverOftenItIsUsed() async throws {
        let new = try await enter()
        for _ in 0..<30 {
            try await use(new.token)
            rig.clock.advance(by: .seconds(86_400 - 1))
        }
        rig.clock.advance(by: .seconds(29))
        try await use(new.token)
        rig.clock.advance(by: .seconds(1))
        await #expect(throws: SessionRefusal.unknown) { try await use(new.token) }
    }

    @Test func theHourOfUseIsWrittenOnce() async throws {
        let new = try await enter()
        rig.store.forgetJournal()
        for _ in 0..<3 {
            try await use(new.token)
            rig.clock.advance(by: .seconds(15))
        }
        #expect(rig.store.journal.isEmpty)
        rig.clock.advance(by: .seconds(3_600))
        for _ in 0..<3 {
            #expect(try await use(new.token).session.seenAt == noon + .seconds(3_600))
            rig.clock.advance(by: .seconds(15))
        }
        #expect(rig.store.journal == ["write session"])
        #expect(try await stored(new)?.seenAt == noon + .seconds(3_600))
    }

    /// The write is no part of the read's two seconds, and has one of its own.
    @Test func aUseThatCannotBeWrittenRefusesNobody() async throws {
        let new = try await enter()
        rig.clock.advance(by: .seconds(3_600))
        let (rig, isHanging) = (rig, Flag())
        isHanging.isTaken = true
        rig.store.beforeWrite { record in
            if record.kind == .session { try? await eventually("it goes on") { !isHanging.isTaken } }
        }
        let task = Task { try await use(new.token) }
        try await eventually("it is written") { rig.clock.sleeping == [.seconds(1)] }
        rig.clock.advance(by: .seconds(1))
        #expect(try await task.value.session.seenAt == noon + .seconds(3_600))
        isHanging.isTaken = false
    }

    @Test func aSessionThatEndsWhileItsUseIsWrittenIsNotWrittenAgain() async throws {
        let new = try await enter()
        rig.clock.advance(by: .seconds(3_600))
        rig.store.beforeWrite { [memory] (record) async throws(StoreError) in
            if record.kind == .session { try await memory.removeRecords(.session, [record.id]) }
        }
        try await use(new.token)
        #expect(try await stored(new) == nil)
    }

    // MARK: Forgetting

    @Test func aSessionThatIsForgottenIsReadAgain() async throws {
        let new = try await enter()
        try await use(new.token)
        try await memory.removeRecords(.session, [new.session.id])
        rig.directory.forget(new.session.id)
        await #expect(throws: SessionRefusal.unknown) { try await use(new.token) }
    }

    @Test func ofAnAccountAllSessionsAreReadAgainAndThoseOfOthersNot() async throws {
        let ann = try await enter()
        let second = try await rig.enter()
        try await rig.access.account(.bob)
        let bob = try await rig.enter(.bob)
        for new in [ann, second, bob] { try await use(new.token) }
        let before = memory.queries
        rig.directory.forgetSessions(of: ann.account.id)
        for new in [ann, second, bob] { try await use(new.token) }
        #expect(memory.queries == before + 4)
    }

    @Test func aReadThatBeganBeforeSomethingWasForgottenDoesNotBringItBack() async throws {
        let new = try await enter()
        let (directory, reads) = (rig.directory, Counting())
        memory.beforeRead { [memory] _ in
            // The session is read already, its account not yet.
            guard reads.next() == 2 else { return }
            try? await memory.removeRecords(.session, [new.session.id])
            directory.forget(new.session.id)
        }
        try await use(new.token)
        await #expect(throws: SessionRefusal.unknown) { try await use(new.token) }
    }

    // MARK: Without the store

    @Test func withoutTheStoreASessionIsRefusedOnceItsStateIs15SecondsOld() async throws {
        let new = try await enter()
        try await use(new.token)
        memory.faults.down([.read])
        try await use(new.token)
        await #expect(throws: SessionRefusal.unavailable) { try await use(SessionToken()) }
        rig.clock.advance(by: .seconds(15))
        await #expect(throws: SessionRefusal.unavailable) { try await use(new.token) }
        memory.faults.down([])
        try await use(new.token)
    }

    @Test func aStoreThatHangsHoldsNobodyForMoreThanTwoSeconds() async throws {
        let new = try await enter()
        let isHanging = Flag()
        isHanging.isTaken = true
        memory.beforeRead { _ in try? await eventually("it goes on") { !isHanging.isTaken } }
        let task = Task { try await use(new.token) }
        try await eventually("it waits") { rig.clock.sleeping.count == 1 }
        rig.clock.advance(by: .seconds(2))
        await #expect(throws: SessionRefusal.unavailable) { try await task.value }
        isHanging.isTaken = false
    }

    // MARK: Unknown tokens

    /// Sends unknown tokens until no more are looked up.
    private func flood() async {
        for _ in 0..<30 { _ = try? await use(SessionToken()) }
    }

    @Test func aFloodOfUnknownTokensShutsOutNobodyWhoHasJustSignedIn() async throws {
        let new = try await enter()
        await flood()
        await #expect(throws: SessionRefusal.tooManyUnknown(retryAfter: .milliseconds(100))) { try await use(SessionToken()) }
        #expect(try await use(new.token) == new.signedIn)
    }

    /// After a start.
    @Test func aFloodOfUnknownTokensShutsOutNobodyWhoseSessionIsListed() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.elsewhere.signIn(EmailAddress.ann.text, AccessRig.password, code: nil, from: .browser)
        await flood()
        await #expect(throws: SessionRefusal.tooManyUnknown(retryAfter: .milliseconds(100))) { try await use(new.token) }
        memory.faults.down([.read])
        await rig.directory.list()
        memory.faults.down([])
        await rig.directory.list()
        #expect(try await use(new.token) == new.signedIn)
        let before = memory.queries
        await rig.directory.list()
        #expect(memory.queries == before, "once")
    }

    @Test func sessionsAreListedUntilTheStoreAnswers() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.elsewhere.signIn(EmailAddress.ann.text, AccessRig.password, code: nil, from: .browser)
        let place = AccountPlace(account: new.account.id, address: Client.browser.address)
        memory.faults.down([.read])
        try await testGracefulShutdown { trigger in
            let task = Task { [rig] in try await rig.directory.run() }
            try await eventually("it waits") { rig.clock.sleeping.contains { $0 > .seconds(5) } }
            memory.faults.down([])
            try await eventually("they are listed") {
                rig.clock.advance(by: .seconds(20))
                return rig.directory.isFamiliar(place)
            }
            await flood()
            #expect(try await use(new.token).session == new.session)
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
    }

    /// Of other processes: a session that is found does not count as an unknown one.
    @Test func sessionsThatAreFoundAreNotLimited() async throws {
        try await rig.access.account(.ann)
        for _ in 0..<40 {
            let new = try await rig.elsewhere.signIn(EmailAddress.ann.text, AccessRig.password, code: nil, from: .browser)
            #expect(try await use(new.token) == new.signedIn)
        }
    }

    @Test func ofOnePeerTwentyUnknownTokensAreReadAndThenTenPerSecondAndAKnownOneIsServed() async throws {
        let new = try await enter()
        try await use(new.token)
        var refused = 0
        for _ in 0..<50 {
            do throws(SessionRefusal) {
                _ = try await rig.directory.session(SessionToken(), from: Client.browser.address)
            } catch {
                switch error {
                case .unknown: break
                case .tooManyUnknown(let retryAfter):
                    refused += 1
                    #expect(retryAfter > .zero && retryAfter <= .milliseconds(100))
                case .unavailable: Issue.record("the store is there")
                }
            }
        }
        #expect(refused == 30)
        for _ in 0..<3 {
            rig.clock.advance(by: .seconds(15))
            for _ in 0..<50 { _ = try? await use(SessionToken()) }
            try await use(new.token)
        }
    }

    @Test func aSessionThatHasEndedIsAsUnknownAsOneThatNeverWas() async throws {
        let new = try await enter()
        try await use(new.token)
        try await memory.removeRecords(.session, [new.session.id])
        rig.clock.advance(by: .seconds(15))
        var answers: [SessionRefusal] = []
        for _ in 0..<30 {
            do throws(SessionRefusal) {
                _ = try await rig.directory.session(new.token, from: Client.browser.address)
            } catch {
                answers.append(error)
            }
        }
        #expect(answers.count(where: { $0 == .unknown }) == 21, "the first was known")
        #expect(answers.count == 30)
    }
}
