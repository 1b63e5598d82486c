import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct SignInTests {
    private let rig = SignInRig()

    private func wrong(_ email: EmailAddress = .ann, from client: Client = .browser) async throws {
        await #expect(throws: SignInError.wrongCredentials) { try await rig.enter(email, "another password", from: client) }
    }

    // MARK: By password

    @Test func theRightPasswordBeginsASession() async throws {
        let ann = try await rig.access.account(.ann)
        rig.clock.advance(by: .seconds(100))
        let new = try await rig.signIn.signIn(" Ann@EXAMPLE.org ", AccessRig.password, code: nil, from: .browser)
        #expect(new.account == ann && new.session.id == new.token.digest.keyID && new.session.account == ann.id)
        #expect(new.session.createdAt == noon + .seconds(100) && new.session.method == .password && new.session.epoch == ann.epoch)
        #expect(new.session.address == "192.0.2.1" && new.session.agent == "Browser/1")
        #expect(try await rig.session(new.token) == new.signedIn)
        #expect(try await rig.sessionElsewhere(new.token) == new.signedIn)
        #expect(try await rig.signIn.sessions(of: ann.id) == [new.session])
    }

    @Test func itIsToldBeforeTheSessionIsThere() async throws {
        let ann = try await rig.access.account(.ann)
        let new = try await rig.enter()
        #expect(rig.store.journal == ["audit sign-in", "write session"])
        let entry = try #require(try await rig.told(.signIn).first)
        #expect(entry.actor == "account \(ann.id)" && entry.target == "ann@example.org" && entry.address == "192.0.2.1")
        #expect(entry.details == "password")
        rig.store.down([.audit])
        await #expect(throws: StoreError.self) { try await rig.enter() }
        #expect(try await rig.signIn.sessions(of: ann.id) == [new.session])
    }

    /// Each costs one hash and has the same error.
    @Test func nobodyLearnsWhoHasAnAccount() async throws {
        try await rig.access.account(.ann)
        try await rig.access.account(.bob)
        try await rig.change(.bob) { $0.disabledAt = noon }
        try await rig.access.account(.cid, hasPassword: false)
        let provided = try #require(EmailAddress("dan@example.org"))
        try await rig.access.account(provided, hasPassword: false)
        try await rig.change(provided) { $0.identity = ProviderIdentity(issuer: "https://id.example", subject: "7") }
        let attempts = [
            ("ann@example.org", "another password"), ("bob@example.org", AccessRig.password), ("bob@example.org", "another password"),
            ("cid@example.org", AccessRig.password), ("dan@example.org", AccessRig.password), ("eve@example.org", AccessRig.password),
            ("no address", AccessRig.password), ("", ""), ("ann@example.org", ""),
        ]
        for (number, (email, password)) in attempts.enumerated() {
            let before = rig.hasher.verifications
            await #expect(throws: SignInError.wrongCredentials, "\(email)") {
                try await rig.signIn.signIn(email, password, code: "123456", from: Client(address: "10.0.0.\(number)", agent: ""))
            }
            #expect(rig.hasher.verifications == before + 1, "\(email)")
        }
        #expect(rig.hasher.hashes == 0)
    }

    /// It costs nothing, so it must not change a count either.
    @Test func aPasswordOfMoreThan1024BytesIsRefusedBeforeAnythingElse() async throws {
        try await rig.access.account(.ann)
        let new = try await rig.enter()
        let long = String(repeating: "x", count: PasswordRule.longest + 1)
        let (queries, verifications) = (rig.store.memory.queries, rig.hasher.verifications)
        for _ in 0..<50 {
            for email in [.ann, .bob] as [EmailAddress] {
                await #expect(throws: SignInError.wrongCredentials) { try await rig.enter(email, long) }
            }
        }
        #expect(rig.store.memory.queries == queries && rig.hasher.verifications == verifications)
        for _ in 0..<20 {
            await #expect(throws: SignInError.wrongCredentials) {
                try await rig.signIn.removeTOTP(new.signedIn, password: long, from: .browser)
            }
        }
        _ = try await rig.enter()
    }

    @Test func whileTooManyAreHashedItIsBusyAndThatIsNoFailure() async throws {
        try await rig.access.account(.ann)
        rig.hasher.busy(true)
        for _ in 0..<30 {
            await #expect(throws: SignInError.busy) { try await rig.enter() }
            rig.clock.advance(by: .seconds(6))
        }
        rig.hasher.busy(false)
        _ = try await rig.enter()
    }

    /// Whether it is busy is known before the store is read, so its time does not tell that there is an account.
    @Test func whileOthersAreHashedTheStoreIsNotRead() async throws {
        try await rig.access.account(.ann)
        let (rig, isOver) = (rig, Flag())
        let others = (0..<2).map { number in
            Task {
                try await rig.signIn.places(AccountPlace(account: "\(number)", address: "10.0.0.\(number)")) {
                    try await eventually("it ends") { isOver.isTaken }
                }
            }
        }
        try await eventually("both run") { rig.signIn.places.load == (2, 0) }
        let before = rig.store.memory.queries
        let entering = Task { try await rig.enter() }
        try await eventually("it waits") { rig.signIn.places.load == (2, 1) && rig.clock.sleeping == [.seconds(2)] }
        rig.clock.advance(by: .seconds(2))
        await #expect(throws: SignInError.busy) { try await entering.value }
        #expect(rig.store.memory.queries == before)
        isOver.isTaken = true
        for other in others { try await other.value }
        _ = try await rig.enter()
        #expect(rig.signIn.places.load.running == 0)
    }

    @Test func aHashOfEarlierParametersIsMadeAgainAfterTheRightPassword() async throws {
        try await rig.access.account(.ann)
        let cheap = PasswordHash(
            PasswordHash.Parameters(logN: 12, blockSize: 8, parallelism: 1), salt: [1], hash: PlainHasher.hash(AccessRig.password).hash)
        try await rig.change { $0.password = cheap }
        try await wrong()
        #expect(try await rig.account()?.password == cheap && rig.hasher.hashes == 0)
        let first = try await rig.enter()
        #expect(try await rig.account()?.password == PlainHasher.hash(AccessRig.password) && rig.hasher.hashes == 1)
        _ = try await rig.enter()
        #expect(rig.hasher.hashes == 1)
        _ = try await rig.session(first.token)
    }

    @Test func anAccountHasAHundredSessionsAndAFurtherOneEndsTheOldest() async throws {
        let ann = try await rig.access.account(.ann)
        var all: [NewSession] = []
        for _ in 0..<SignIn.maximumSessions + 2 {
            all.append(try await rig.enter())
            rig.clock.advance(by: .seconds(6))
        }
        #expect(try await rig.signIn.sessions(of: ann.id) == all.dropFirst(2).reversed().map(\.session))
        await #expect(throws: SessionRefusal.unknown) { try await rig.sessionElsewhere(all[1].token) }
        _ = try await rig.sessionElsewhere(all[2].token)
    }

    // MARK: Slow-down

    @Test func afterFiveFailuresTheRightPasswordWaitsToo() async throws {
        try await rig.access.account(.ann)
        for _ in 0..<5 { try await wrong() }
        let before = rig.hasher.verifications
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await rig.enter() }
        #expect(rig.hasher.verifications == before)
        _ = try await rig.enter(from: .other)
        rig.clock.advance(by: .seconds(1))
        _ = try await rig.enter()
        rig.clock.advance(by: .seconds(60))
        for _ in 0..<5 { try await wrong() }
    }

    @Test func theRightPasswordIsTriedTenTimesAMinute() async throws {
        try await rig.access.account(.ann)
        for _ in 0..<10 { _ = try await rig.enter() }
        let before = rig.hasher.verifications
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(6))) { try await rig.enter() }
        #expect(rig.hasher.verifications == before)
        _ = try await rig.enter(from: .other)
    }

    /// Failures from everywhere delay nobody in a network from which the account has signed in.
    @Test func nobodyShutsOutTheOwnerOfAnAccount() async throws {
        try await rig.access.account(.ann)
        let known = try await rig.enter()
        for number in 0..<100 { try await wrong(from: .numbered(number)) }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await rig.enter(from: .other) }
        let before = rig.store.memory.queries
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await rig.enter(from: .other) }
        #expect(rig.store.memory.queries == before)
        try await wrong()
        _ = try await rig.enter()
        // Signed in, they are delayed by their own network only, whichever it is.
        await #expect(throws: SignInError.wrongCredentials) {
            try await rig.signIn.removeTOTP(known.signedIn, password: "another password", from: .other)
        }
        _ = try await rig.signIn.changePassword(known.signedIn, current: AccessRig.password, new: "nine quiet otters", from: .other)
    }

    /// A process knows these networks from the sessions that it has read or listed.
    @Test(arguments: [true, false])
    func aSignInElsewhereMakesANetworkFamiliar(isListed: Bool) async throws {
        try await rig.access.account(.ann)
        let new = try await rig.elsewhere.signIn(EmailAddress.ann.text, AccessRig.password, code: nil, from: .browser)
        for number in 0..<100 { try await wrong(from: .numbered(number)) }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await rig.enter() }
        if isListed { await rig.directory.list() } else { _ = try await rig.directory.session(new.token, from: "203.0.113.9") }
        _ = try await rig.enter()
    }

    @Test func anAddressWithoutAnAccountIsSlowedDownAsWell() async throws {
        for _ in 0..<5 { try await wrong() }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await rig.enter() }
    }

    // MARK: With a second factor

    @Test func theCodeIsAskedForOnlyAfterTheRightPassword() async throws {
        let writing = rig.writeFailures()
        defer { writing.cancel() }
        try await rig.access.account(.ann)
        _ = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        try await wrong()
        await #expect(throws: SignInError.codeRequired) { try await rig.enter() }
        await #expect(throws: SignInError.codeRequired) { try await rig.enter(code: "") }
        await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: "000000x") }
        await #expect(throws: SignInError.wrongCredentials) {
            try await rig.enter(.ann, "another password", code: try await rig.code())
        }
        let new = try await rig.enter(code: try await rig.code())
        _ = try await rig.session(new.token)
        #expect(try await rig.told(.signIn).last?.details == "password and code")
        try await eventually("the wrong code is told") { try await rig.told(.signInFailed).contains { $0.details == "wrong code" } }
    }

    @Test func aCodeIsUsedOnce() async throws {
        try await rig.access.account(.ann)
        _ = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        let code = try await rig.code()
        _ = try await rig.enter(code: code)
        await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: code) }
        _ = try await rig.enter(code: try await rig.code(stepsLater: 1))
        await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: try await rig.code(stepsLater: -1)) }
    }

    /// The second one signs in just before the first one's attempt is written, or between the check of its code and the use.
    @Test(arguments: [false, true], [Record.Kind.account, .audit])
    func ofTwoWithTheSameCodeAtTheSameTimeOneGetsIn(isRecovery: Bool, before kind: Record.Kind) async throws {
        try await rig.access.account(.ann)
        let codes = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        let code = isRecovery ? codes[0] : try await rig.code()
        let (rig, once, second) = (rig, Once(), Recorded<NewSession>())
        rig.store.beforeWrite { record in
            guard record.kind == kind, once.claim() else { return }
            if let new = try? await rig.enter(code: code, from: .other) { second.append(new) }
        }
        await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: code) }
        #expect(second.values.count == 1)
    }

    @Test func aRecoveryCodeStandsForACodeOnce() async throws {
        try await rig.access.account(.ann)
        let codes = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        for code in codes {
            _ = try await rig.enter(code: code)
            rig.clock.advance(by: .seconds(6))
        }
        #expect(try await rig.told(.signIn).last?.details == "password and recovery code")
        await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: codes[0]) }
        #expect(try await rig.account()?.totp?.recoveryCodes.isEmpty == true)
        _ = try await rig.enter(code: try await rig.code())
    }

    @Test func wrongCodesAreFailures() async throws {
        try await rig.access.account(.ann)
        _ = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        for _ in 0..<3 { await #expect(throws: SignInError.codeRequired) { try await rig.enter() } }
        for _ in 0..<5 { await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: "x") } }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(1))) { try await rig.enter(code: try await rig.code()) }
    }

    /// Whoever knows the password may guess from any number of networks, and in any number of processes.
    @Test func afterTenWrongCodesEachFurtherCodeWaitsLongerWhereverItIsTried() async throws {
        try await rig.access.account(.ann)
        _ = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        for number in 0..<10 {
            await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: "x", from: .numbered(number)) }
        }
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = Duration.seconds(60 * minutes)
            for signIn in [rig.signIn, rig.elsewhere] {
                await #expect(throws: SignInError.tooManyAttempts(retryAfter: wait)) {
                    try await signIn.signIn(EmailAddress.ann.text, AccessRig.password, code: try await rig.code(), from: .other)
                }
            }
            await #expect(throws: SignInError.codeRequired) { try await rig.enter(from: .other) }
            rig.clock.advance(by: wait)
            await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: "x", from: .numbered(minutes)) }
        }
        rig.clock.advance(by: .seconds(3_600))
        _ = try await rig.enter(code: try await rig.code())
        await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: "x") }
        _ = try await rig.enter(code: try await rig.code(stepsLater: 1))
    }

    /// All of them know the same count.
    @Test func codesThatAreTriedAtTheSameTimeAreEachCountedBeforeTheyAreCompared() async throws {
        try await rig.access.account(.ann)
        _ = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        for number in 0..<9 {
            await #expect(throws: SignInError.wrongCode) { try await rig.enter(code: "x", from: .numbered(number)) }
        }
        let (other, once, code) = (rig, Once(), try await rig.code())
        rig.store.beforeWrite { record in
            guard record.kind == .account, once.claim() else { return }
            _ = try? await other.enter(code: "x", from: .other)
        }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .seconds(60))) { try await rig.enter(code: code) }
    }

    @Test(arguments: [false, true])
    func aCodeIsUsedUpOnlyAfterItIsTold(isRecovery: Bool) async throws {
        try await rig.access.account(.ann)
        let codes = try await rig.turnOnTOTP(try await rig.enter().signedIn)
        let code = isRecovery ? codes[0] : try await rig.code()
        rig.store.down([.audit])
        await #expect(throws: StoreError.self) { try await rig.enter(code: code) }
        rig.store.down([])
        rig.store.forgetJournal()
        _ = try await rig.enter(code: code)
        #expect(rig.store.journal == ["write account", "audit sign-in", "write account", "write session"])
    }

    /// The password changes after it was verified, and before the code is used.
    @Test func aPasswordThatChangesMeanwhileIsNotRightAnyMore() async throws {
        try await rig.access.account(.ann)
        let first = try await rig.enter()
        _ = try await rig.turnOnTOTP(first.signedIn)
        let (rig, once, code) = (rig, Once(), try await rig.code())
        rig.store.beforeWrite { record in
            guard record.kind == .account, once.claim() else { return }
            try? await rig.change { $0.epoch = "ffffffffffffffff" }
        }
        await #expect(throws: SignInError.wrongCredentials) { try await rig.enter(code: code) }
    }

    // MARK: With a provider

    private let identity = ProviderIdentity(issuer: "https://id.example", subject: "7")

    @Test func anIdentityIsBoundToItsAccountAtTheFirstSignIn() async throws {
        try await rig.access.account(.ann, hasPassword: false)
        let new = try await rig.signIn.signIn(identity, verified: .ann, from: .browser)
        #expect(new.session.method == .oidc)
        #expect(try await rig.account() == new.account && new.account.identity == identity)
        _ = try await rig.session(new.token)
        _ = try await rig.signIn.signIn(identity, verified: .ann, from: .browser)
        _ = try await rig.sessionElsewhere(new.token)
        #expect(try await rig.told(.signIn).map(\.details) == ["provider", "provider"])
        #expect(try await rig.told(.identityBind).map(\.details) == [#"issuer: "https://id.example"; subject: "7""#])
        for other in [
            ProviderIdentity(issuer: "https://id.example", subject: "8"), ProviderIdentity(issuer: "https://other.example", subject: "7"),
        ] {
            await #expect(throws: SignInError.wrongCredentials) { try await rig.signIn.signIn(other, verified: .ann, from: .browser) }
        }
        #expect(try await rig.account()?.identity == identity)
    }

    @Test func bindingAnIdentityEndsInvitationsAndSessions() async throws {
        let token = try await rig.access.accounts.invite(.ann, name: "", isAdministrator: false, roles: [:], by: .command).token
        _ = try await rig.signIn.signIn(identity, verified: .ann, from: .browser)
        await #expect(throws: SignInError.invalidInvitation) {
            try await rig.signIn.accept(token, password: "blue teapots and rain", name: nil, from: .other)
        }
        try await rig.access.account(.bob)
        let before = try await rig.enter(.bob)
        _ = try await rig.session(before.token)
        _ = try await rig.signIn.signIn(identity, verified: .bob, from: .browser)
        await #expect(throws: SessionRefusal.unknown) { try await rig.session(before.token) }
        // Somebody else may have set it, with an invitation that was for Bob.
        await #expect(throws: SignInError.wrongCredentials) { try await rig.enter(.bob) }
        #expect(try await rig.account(.bob)?.password == nil)
    }

    @Test func aResetUnbindsTheIdentity() async throws {
        let account = try await rig.access.account(.ann)
        _ = try await rig.signIn.signIn(identity, verified: .ann, from: .browser)
        let token = try #require(try await rig.access.accounts.reset(account.id, by: .command))
        let accepted = try await rig.signIn.accept(token, password: "blue teapots and rain", name: nil, from: .browser)
        #expect(accepted.account.identity == nil)
        let other = ProviderIdentity(issuer: "https://id.example", subject: "8")
        _ = try await rig.signIn.signIn(other, verified: .ann, from: .browser)
        #expect(try await rig.account()?.identity == other)
    }

    @Test func withoutAnAccountThatMaySignInAProviderHelpsNobody() async throws {
        try await rig.access.account(.bob)
        try await rig.change(.bob) { $0.disabledAt = noon }
        for email in [.ann, .bob] as [EmailAddress] {
            await #expect(throws: SignInError.wrongCredentials) { try await rig.signIn.signIn(identity, verified: email, from: .browser) }
        }
        #expect(try await rig.account(.ann) == nil)
        #expect(try await rig.account(.bob)?.identity == nil)
    }

    @Test func ofTwoIdentitiesAtTheSameTimeOneIsBound() async throws {
        try await rig.access.account(.ann)
        let (rig, once) = (rig, Once())
        let other = ProviderIdentity(issuer: "https://id.example", subject: "8")
        rig.store.beforeWrite { record in
            guard record.kind == .account, once.claim() else { return }
            _ = try? await rig.signIn.signIn(other, verified: .ann, from: .other)
        }
        await #expect(throws: SignInError.wrongCredentials) { try await rig.signIn.signIn(identity, verified: .ann, from: .browser) }
        #expect(try await rig.account()?.identity == other)
    }
}
