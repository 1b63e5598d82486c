import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct AcceptTests {
    private let rig = SignInRig()
    private let password = "nine quiet otters"

    private func invite(_ email: EmailAddress = .ann, name: String = "Ann") async throws -> String {
        try await rig.access.accounts.invite(email, name: name, isAdministrator: false, roles: [:], by: .command).token
    }

    private func accept(_ token: String, name: String? = nil, from client: Client = .browser) async throws -> NewSession {
        try await rig.signIn.accept(token, password: password, name: name, from: client)
    }

    @Test func theBearerOfAnInvitationSetsThePasswordAndIsSignedIn() async throws {
        let token = try await invite()
        let before = try #require(try await rig.account())
        rig.store.forgetJournal()
        let new = try await accept(token, name: "Ann B.")
        #expect(rig.store.journal == ["audit invitation.accept", "write account", "remove invitation", "write session"])
        #expect(new.account.name == "Ann B." && new.session.method == .invitation && new.account.epoch != before.epoch)
        #expect(try await rig.session(new.token) == new.signedIn)
        #expect(try await rig.account() == new.account)
        let entry = try #require(try await rig.told(.invitationAccept).first)
        #expect(entry.actor == "account \(before.id)" && entry.target == "ann@example.org" && entry.address == "192.0.2.1")
        _ = try await rig.enter(.ann, password)
    }

    @Test func withoutANameTheOldOneStays() async throws {
        #expect(try await accept(try await invite()).account.name == "Ann")
        let token = try await invite(.bob)
        await #expect(throws: AccountError.invalidName) { try await accept(token, name: "a\nb") }
        #expect(try await accept(token, name: "").account.name == "")
    }

    @Test func aTokenIsUsedOnce() async throws {
        let token = try await invite()
        _ = try await accept(token)
        await #expect(throws: SignInError.invalidInvitation) { try await accept(token) }
    }

    /// The second one is done just before the first one's password is written.
    @Test func ofTwoWithTheSameTokenAtTheSameTimeOneGetsIn() async throws {
        let token = try await invite()
        let (rig, once, second, password) = (rig, Once(), Recorded<NewSession>(), "some other tall words")
        rig.store.beforeWrite { record in
            guard record.kind == .account, once.claim() else { return }
            if let new = try? await rig.signIn.accept(token, password: password, name: nil, from: .other) { second.append(new) }
        }
        await #expect(throws: SignInError.invalidInvitation) { try await accept(token) }
        let winner = try #require(second.values.first)
        _ = try await rig.session(winner.token)
        _ = try await rig.enter(.ann, password)
    }

    @Test func aTokenEndsAfterSevenDaysAndWithTheNextOne() async throws {
        let first = try await invite()
        let ann = try #require(try await rig.account())
        let second = try #require(try await rig.access.accounts.reset(ann.id, by: .command))
        await #expect(throws: SignInError.invalidInvitation) { try await accept(first) }
        rig.clock.advance(by: .seconds(7 * 86_400))
        await #expect(throws: SignInError.invalidInvitation) { try await accept(second) }
        let third = try #require(try await rig.access.accounts.reset(ann.id, by: .command))
        rig.clock.advance(by: .seconds(7 * 86_400) - .milliseconds(1))
        _ = try await accept(third)
    }

    @Test func afterAResetEarlierSessionsAndTheSecondFactorAreGone() async throws {
        try await rig.access.account(.ann)
        let old = try await rig.enter()
        _ = try await rig.turnOnTOTP(old.signedIn)
        let token = try #require(try await rig.access.accounts.reset(old.account.id, by: .command))
        // Whatever happens in between.
        try await rig.change { $0.totp = TOTPState.new() }
        let new = try await accept(token)
        #expect(new.account.totp == nil && new.account.password == PlainHasher.hash(password))
        await #expect(throws: SessionRefusal.unknown) { try await rig.session(old.token) }
        _ = try await rig.enter(.ann, password)
    }

    @Test func aDisabledOrRemovedAccountIsNotSetUp() async throws {
        let token = try await invite()
        try await rig.change { $0.disabledAt = noon }
        await #expect(throws: SignInError.invalidInvitation) { try await accept(token) }
        #expect(try await rig.access.accounts.remove(Account.id(of: .ann), by: .command))
        await #expect(throws: SignInError.invalidInvitation) { try await accept(token) }
        #expect(rig.hasher.hashes == 0)
    }

    @Test func aWeakPasswordDoesNotUseUpTheToken() async throws {
        let token = try await invite()
        for weak in ["short", "password1234", String(repeating: "k9v2Qx7L", count: 129)] {
            let fault = try #require(PasswordRule.fault(in: weak, of: .ann))
            await #expect(throws: SignInError.weakPassword(fault)) {
                try await rig.signIn.accept(token, password: weak, name: nil, from: .browser)
            }
        }
        rig.hasher.busy(true)
        await #expect(throws: SignInError.busy) { try await accept(token) }
        rig.hasher.busy(false)
        _ = try await accept(token)
    }

    @Test func tokensThatDoNotExistAreLimitedBeforeTheStoreIsAsked() async throws {
        let before = rig.store.memory.queries
        for text in ["", "evi_", SessionToken().text, String(InvitationToken().text.dropLast())] {
            await #expect(throws: SignInError.invalidInvitation) { try await accept(text) }
        }
        #expect(rig.store.memory.queries == before, "without the form of a token it is not looked up")
        for _ in 0..<20 { await #expect(throws: SignInError.invalidInvitation) { try await accept(InvitationToken().text) } }
        for _ in 0..<10 {
            await #expect(throws: SignInError.tooManyAttempts(retryAfter: .milliseconds(100))) { try await accept(InvitationToken().text) }
        }
        #expect(rig.store.memory.queries == before + 20)
    }
}
