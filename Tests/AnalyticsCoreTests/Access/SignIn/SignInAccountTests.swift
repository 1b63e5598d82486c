import TestSupport
import Testing

@testable import AnalyticsCore

/// What a person who has signed in does with their own account.
@Suite(.timeLimit(.minutes(2)))
struct SignInAccountTests {
    private let rig = SignInRig()
    private let other = "nine quiet otters"

    private func isRefused(_ new: NewSession) async throws {
        await #expect(throws: SessionRefusal.unknown) { try await rig.session(new.token) }
        await #expect(throws: SessionRefusal.unknown) { try await rig.sessionElsewhere(new.token) }
    }

    private func begin(_ new: NewSession, password: String = AccessRig.password) async throws -> TOTPSetup {
        try await rig.signIn.beginTOTP(new.signedIn, password: password, from: .browser)
    }

    // MARK: Signing out

    @Test func signingOutEndsTheSessionAtOnceAndNoOther() async throws {
        try await rig.access.account(.ann)
        let (first, second) = (try await rig.enter(), try await rig.enter())
        _ = try await rig.session(first.token)
        rig.store.forgetJournal()
        try await rig.signIn.signOut(first.signedIn, everywhere: false, from: .browser)
        #expect(rig.store.journal == ["audit sign-out", "remove session"])
        try await isRefused(first)
        _ = try await rig.session(second.token)
        #expect(try await rig.signIn.sessions(of: first.account.id) == [second.session])
        try await rig.signIn.signOut(first.signedIn, everywhere: false, from: .browser)
    }

    @Test func signingOutEverywhereEndsAllSessionsOfTheAccountAtOnce() async throws {
        try await rig.access.account(.ann)
        try await rig.access.account(.bob)
        let (first, second, bob) = (try await rig.enter(), try await rig.enter(), try await rig.enter(.bob))
        for new in [first, second, bob] { _ = try await rig.session(new.token) }
        rig.store.forgetJournal()
        try await rig.signIn.signOut(first.signedIn, everywhere: true, from: .browser)
        #expect(rig.store.journal == ["audit sign-out", "write account", "remove session"])
        #expect(try await rig.told(.signOut).map(\.details) == ["everywhere"])
        try await isRefused(first)
        try await isRefused(second)
        _ = try await rig.session(bob.token)
        #expect(try await rig.signIn.sessions(of: first.account.id).isEmpty)
        _ = try await rig.session(try await rig.enter().token)
    }

    @Test func sessionsThatHaveEndedAreNotListed() async throws {
        try await rig.access.account(.ann)
        _ = try await rig.enter()
        rig.clock.advance(by: .seconds(7 * 86_400))
        let last = try await rig.enter()
        #expect(try await rig.signIn.sessions(of: last.account.id) == [last.session])
        try await rig.change { $0.disabledAt = noon }
        #expect(try await rig.signIn.sessions(of: last.account.id).isEmpty)
        #expect(try await rig.signIn.sessions(of: Account.id(of: .bob)).isEmpty)
    }

    // MARK: The password

    @Test func aNewPasswordEndsAllOtherSessions() async throws {
        try await rig.access.account(.ann)
        let (first, second) = (try await rig.enter(), try await rig.enter())
        for new in [first, second] { _ = try await rig.session(new.token) }
        rig.store.forgetJournal()
        let next = try await rig.signIn.changePassword(first.signedIn, current: AccessRig.password, new: other, from: .browser)
        #expect(rig.store.journal == ["audit password.change", "write account", "write session"])
        try await isRefused(first)
        try await isRefused(second)
        #expect(try await rig.session(next.token) == next.signedIn)
        #expect(next.session.method == .password && next.account.epoch != first.account.epoch)
        await #expect(throws: SignInError.wrongCredentials) { try await rig.enter() }
        _ = try await rig.enter(.ann, other)
    }

    @Test func theCurrentPasswordIsNeededAndGuessesAreSlowedDown() async throws {
        let writing = rig.writeFailures()
        defer { writing.cancel() }
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        for _ in 0..<5 {
            await #expect(throws: SignInError.wrongCredentials) {
                try await rig.signIn.changePassword(new.signedIn, current: "another password", new: other, from: .browser)
            }
        }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) {
            try await rig.signIn.changePassword(new.signedIn, current: AccessRig.password, new: other, from: .browser)
        }
        try await eventually("they are told") { try await rig.told(.signInFailed).count == 5 }
        #expect(try await rig.told(.signInFailed).allSatisfy { $0.actor == "account \(new.account.id)" })
        #expect(try await rig.account()?.password == new.account.password)
    }

    @Test func aWeakPasswordIsRefused() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        let fault = try #require(PasswordRule.fault(in: "password1234", of: .ann))
        await #expect(throws: SignInError.weakPassword(fault)) {
            try await rig.signIn.changePassword(new.signedIn, current: AccessRig.password, new: "password1234", from: .browser)
        }
        _ = try await rig.session(new.token)
    }

    @Test func withoutAPasswordThereIsNothingToChange() async throws {
        try await rig.access.account(.ann, hasPassword: false)
        let identity = ProviderIdentity(issuer: "https://id.example", subject: "7")
        let new = try await rig.signIn.signIn(identity, verified: .ann, from: .browser)
        await #expect(throws: SignInError.noPassword) {
            try await rig.signIn.changePassword(new.signedIn, current: "", new: other, from: .browser)
        }
        await #expect(throws: SignInError.noPassword) { try await rig.signIn.beginTOTP(new.signedIn, password: "", from: .browser) }
        await #expect(throws: SignInError.noPassword) { try await rig.signIn.removeTOTP(new.signedIn, password: "", from: .browser) }
    }

    // MARK: The second factor

    @Test func aSecretIsNotAskedForBeforeACodeOfItIsConfirmed() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        let first = try await begin(new)
        let setup = try await begin(new)
        #expect(setup.secret != first.secret && setup.uri.contains("ann%40example.org"))
        #expect(try await rig.account()?.totp.map { Base32.encode($0.secret) } == setup.secret)
        _ = try await rig.enter()
        await #expect(throws: SignInError.wrongCode) { try await rig.signIn.confirmTOTP(new.signedIn, code: "x", from: .browser) }
        #expect(try await rig.told(.totpOn).isEmpty)
        let codes = try await rig.signIn.confirmTOTP(new.signedIn, code: try await rig.code(), from: .browser)
        #expect(codes.count == 10)
        #expect(try await rig.told(.totpOn).count == 1)
        await #expect(throws: SignInError.codeRequired) { try await rig.enter() }
        _ = try await rig.session(new.token)
    }

    @Test func oneThatIsOnIsRemovedWithThePasswordOnly() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        _ = try await rig.turnOnTOTP(new.signedIn)
        await #expect(throws: SignInError.secondFactorOn) { try await begin(new) }
        await #expect(throws: SignInError.secondFactorOn) {
            try await rig.signIn.confirmTOTP(new.signedIn, code: try await rig.code(), from: .browser)
        }
        await #expect(throws: SignInError.wrongCredentials) {
            try await rig.signIn.removeTOTP(new.signedIn, password: "another password", from: .browser)
        }
        #expect(try await rig.account()?.totp?.isOn == true)
        try await rig.signIn.removeTOTP(new.signedIn, password: AccessRig.password, from: .browser)
        #expect(try await rig.told(.totpOff).count == 1)
        _ = try await rig.enter()
    }

    @Test func whoHasFoundASessionDoesNotTurnItOn() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        for _ in 0..<5 { await #expect(throws: SignInError.wrongCredentials) { try await begin(new, password: "another password") } }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await begin(new) }
        #expect(try await rig.account()?.totp == nil)
    }

    @Test func withoutASecretNoCodeIsConfirmed() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        await #expect(throws: SignInError.wrongCode) { try await rig.signIn.confirmTOTP(new.signedIn, code: "123456", from: .browser) }
    }

    // MARK: Sessions that have ended

    /// Another process has ended it, and this one does not know yet.
    @Test(arguments: [0, 1, 2, 3])
    func aSessionThatHasEndedChangesNothing(way: Int) async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        switch way {
        case 0: try await rig.store.memory.removeRecords(.session, [new.session.id])
        case 1: try await rig.store.memory.removeRecords(.account, [new.account.id])
        case 2: try await rig.change { $0.epoch = "ffffffffffffffff" }
        default: try await rig.change { $0.disabledAt = noon }
        }
        let before = try await rig.account()
        await #expect(throws: SessionRefusal.unknown) { try await rig.signIn.signOut(new.signedIn, everywhere: true, from: .browser) }
        await #expect(throws: SessionRefusal.unknown) { try await begin(new) }
        await #expect(throws: SessionRefusal.unknown) { try await rig.signIn.confirmTOTP(new.signedIn, code: "x", from: .browser) }
        await #expect(throws: SessionRefusal.unknown) {
            try await rig.signIn.removeTOTP(new.signedIn, password: AccessRig.password, from: .browser)
        }
        await #expect(throws: SessionRefusal.unknown) {
            try await rig.signIn.changePassword(new.signedIn, current: AccessRig.password, new: other, from: .browser)
        }
        #expect(try await rig.account() == before)
        #expect(try await rig.told(.signOut).isEmpty)
    }

    /// An administrator has just made a new token that sets the password.
    @Test func aSessionThatHasEndedDoesNotEndTheInvitationAfterIt() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        _ = try await rig.session(new.token)
        let token = try #require(try await rig.access.accounts.reset(new.account.id, by: .command))
        await #expect(throws: SessionRefusal.unknown) { try await rig.signIn.signOut(new.signedIn, everywhere: true, from: .browser) }
        _ = try await rig.signIn.accept(token, password: other, name: nil, from: .browser)
    }

    @Test func ofChangesAtTheSameTimeNoneIsLost() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        let (rig, once) = (rig, Once())
        rig.store.beforeWrite { record in
            guard record.kind == .account, once.claim() else { return }
            try? await rig.change { $0.roles = ["shop": .owner] }
        }
        _ = try await rig.signIn.changePassword(new.signedIn, current: AccessRig.password, new: other, from: .browser)
        let ann = try #require(try await rig.account())
        #expect(ann.roles == ["shop": .owner] && ann.password == PlainHasher.hash(other))
    }
}
