import TestSupport
import Testing

@testable import AnalyticsCore

struct AccountsTests {
    private let rig = AccessRig()

    private var accounts: Accounts { rig.accounts }

    private func create(
        _ email: EmailAddress = .ann, password: String = AccessRig.password, name: String = "", isAdministrator: Bool = false
    ) async throws -> Account {
        try await accounts.create(email, password: password, name: name, isAdministrator: isAdministrator, by: .command)
    }

    private func invite(
        _ email: EmailAddress = .ann, name: String = "", roles: [ProjectID: Role] = [:]
    ) async throws -> (account: Account, token: String) {
        try await accounts.invite(email, name: name, isAdministrator: false, roles: roles, by: .command)
    }

    private func invitation(_ token: String) async throws -> Invitation {
        let digest = try #require(InvitationToken(token)).digest
        return try Invitation(try #require(try await rig.store.record(.invitation, digest.keyID)))
    }

    // MARK: Making

    @Test func anAccountIsFoundByItsIdAndItsAddress() async throws {
        let account = try await create(name: "Ann", isAdministrator: true)
        #expect(account.email == .ann && account.name == "Ann" && account.isAdministrator && account.roles.isEmpty)
        #expect(account.password == PlainHasher.hash(AccessRig.password) && account.createdAt == noon && account.disabledAt == nil)
        #expect(account.id.utf8.count == 20 && account.epoch.utf8.count == 16)
        #expect(try await accounts.account(account.id) == account)
        #expect(try await accounts.account(try #require(EmailAddress(" ANN@Example.Org"))) == account)
        #expect(try await accounts.account(.bob) == nil)
        #expect(try await accounts.account("00000000000000000000") == nil)
    }

    @Test func oneAddressHasOneAccount() async throws {
        let first = try await create()
        await #expect(throws: AccountError.exists(.ann)) { try await create(name: "Another") }
        await #expect(throws: AccountError.exists(.ann)) { try await invite() }
        #expect(try await accounts.list(before: nil, limit: 10) == [first])
        #expect(try await create(.bob).id != first.id)
    }

    @Test func ofTwoThatMakeAnAccountAtTheSameTimeOneSucceeds() async throws {
        let other = Account(email: .ann, name: "Other", epoch: "0123456789abcdef", createdAt: noon)
        rig.store.beforeWrite { [rig] (record) async throws(StoreError) in
            if record.kind == .account { _ = try await rig.store.memory.write(try other.record(revision: 1)) }
        }
        await #expect(throws: AccountError.exists(.ann)) { try await create() }
        #expect(try await accounts.account(.ann) == other)
    }

    @Test func theFirstAccountClosesAnonymousAccessBeforeItIsStored() async throws {
        _ = try await create()
        #expect(rig.store.journal == ["audit account.create", "close_anonymous_access", "write account"])
        let other = AccessRig()
        other.store.down([.account])
        await #expect(throws: StoreError.self) {
            try await other.accounts.invite(.bob, name: "", isAdministrator: false, roles: [:], by: .command)
        }
        #expect(try await other.store.isAnonymousAccessClosed())
        #expect(try await other.accounts.account(.bob) == nil)
    }

    @Test(arguments: [String(repeating: "x", count: 101), "a\nb", "\u{1B}[2J"])
    func aNameThatIsTooLongOrHasControlCharactersIsRefused(name: String) async throws {
        let ann = try await create()
        await #expect(throws: AccountError.invalidName) { try await create(.bob, name: name) }
        await #expect(throws: AccountError.invalidName) { try await invite(.bob, name: name) }
        await #expect(throws: AccountError.invalidName) { try await accounts.change(ann.id, AccountChange(name: name), by: .command) }
        #expect(try await accounts.list(before: nil, limit: 10) == [ann])
    }

    @Test func aWeakPasswordIsRefused() async throws {
        let fault = try #require(PasswordRule.fault(in: "password", of: .ann))
        await #expect(throws: AccountError.weakPassword(fault)) { try await create(password: "password") }
        #expect(rig.store.journal.isEmpty)
    }

    @Test func thereAreTenThousandAccounts() async throws {
        for number in 1...Accounts.maximum {
            _ = try await rig.store.memory.write(Record(kind: .account, id: "\(number)", body: []))
        }
        await #expect(throws: AccountError.tooMany) { try await invite() }
        #expect(try await accounts.remove("1", by: .command))
        _ = try await create()
    }

    // MARK: Inviting

    @Test func anInvitedPersonHasNoPasswordYetAndATokenThatIsStoredAsItsDigest() async throws {
        try await rig.project("shop")
        let (account, token) = try await invite(name: "Ann", roles: ["shop": .owner, Project.default: .viewer])
        #expect(account.password == nil && account.roles == ["shop": .owner, Project.default: .viewer])
        #expect(try await accounts.account(.ann) == account)
        let stored = try await invitation(token)
        #expect(stored.account.equalsUTF8(account.id) && stored.epoch.equalsUTF8(account.epoch))
        #expect(stored.expiresAt == noon + .seconds(7 * 86_400))
        let record = try #require(try await rig.store.record(.invitation, stored.digest.keyID))
        #expect(record.owner.equalsUTF8(account.id) && record.expiresAt == stored.expiresAt)
        #expect(!String(decoding: record.body, as: UTF8.self).contains(token))
    }

    @Test func anInvitationIsToProjectsThatExist() async throws {
        await #expect(throws: AccountError.unknownProject("shop")) { try await invite(roles: ["shop": .viewer]) }
        #expect(try await accounts.account(.ann) == nil)
    }

    @Test func anInvitationIsUsedOnceWithinSevenDaysAndByItsAccountAlone() async throws {
        let (invited, token) = try await invite()
        let (other, otherToken) = try await invite(.bob)
        let digest = try #require(InvitationToken(token)).digest
        let otherDigest = try #require(InvitationToken(otherToken)).digest
        let invitation = try await invitation(token)
        #expect(invitation.admits(digest, to: invited, at: noon))
        let end = noon + .seconds(7 * 86_400)
        #expect(invitation.admits(digest, to: invited, at: end - .milliseconds(1)))
        #expect(!invitation.admits(digest, to: invited, at: end))
        #expect(!invitation.admits(otherDigest, to: invited, at: noon))
        #expect(!invitation.admits(digest, to: other, at: noon))

        var account = invited
        account.disabledAt = noon
        #expect(!invitation.admits(digest, to: account, at: noon))
        account.disabledAt = nil
        #expect(invitation.admits(digest, to: account, at: noon))
        // As the first use does.
        account.epoch = Account.newEpoch(rig.ids)
        #expect(!invitation.admits(digest, to: account, at: noon))
    }

    // MARK: Resetting

    @Test func aResetEndsThePasswordEarlierTokensAndSessions() async throws {
        let (invited, firstToken) = try await invite()
        let first = try await invitation(firstToken)
        _ = try await rig.store.changeAccount(invited.id) { $0.password = PlainHasher.hash(AccessRig.password) }
        let secondToken = try #require(try await accounts.reset(invited.id, by: .command))
        let account = try #require(try await accounts.account(invited.id))
        #expect(account.password == nil && account.totp == nil && !account.epoch.equalsUTF8(invited.epoch))
        #expect(!first.admits(first.digest, to: account, at: noon))
        let second = try await invitation(secondToken)
        #expect(second.admits(second.digest, to: account, at: noon))
        #expect(try await accounts.reset("00000000000000000000", by: .command) == nil)
    }

    // MARK: Changing

    @Test func onlyWhatIsNamedIsChanged() async throws {
        let account = try await create(name: "Ann")
        var expected = account
        expected.name = ""
        #expect(try await accounts.change(account.id, AccountChange(name: ""), by: .command) == expected)
        expected.isAdministrator = true
        #expect(try await accounts.change(account.id, AccountChange(isAdministrator: true), by: .command) == expected)
        expected.isAdministrator = false
        #expect(try await accounts.change(account.id, AccountChange(isAdministrator: false), by: .command) == expected)
        rig.store.forgetJournal()
        #expect(try await accounts.change(account.id, AccountChange(), by: .command) == expected)
        let same = AccountChange(name: "", isAdministrator: false, isDisabled: false)
        #expect(try await accounts.change(account.id, same, by: .command) == expected)
        #expect(rig.store.journal.isEmpty)
        #expect(try await accounts.change("00000000000000000000", AccountChange(name: "x"), by: .command) == nil)
    }

    @Test func disablingEndsAllSessions() async throws {
        let account = try await create()
        let disabled = try #require(try await accounts.change(account.id, AccountChange(isDisabled: true), by: .command))
        #expect(disabled.disabledAt == noon && !disabled.epoch.equalsUTF8(account.epoch))
        rig.clock.advance(by: .seconds(60))
        #expect(try await accounts.change(account.id, AccountChange(isDisabled: true), by: .command) == disabled)
        let enabled = try #require(try await accounts.change(account.id, AccountChange(isDisabled: false), by: .command))
        #expect(enabled.disabledAt == nil && enabled.epoch.equalsUTF8(disabled.epoch))
    }

    @Test func changesAtTheSameTimeAreBothKept() async throws {
        let account = try await create()
        let writes = Counting()
        rig.store.beforeWrite { [rig] (record) async throws(StoreError) in
            guard record.kind == .account, writes.next() == 1 else { return }
            await rig.changeElsewhere(account.id) { $0.isAdministrator = true }
        }
        let changed = try #require(try await accounts.change(account.id, AccountChange(name: "Ann"), by: .command))
        #expect(changed.name == "Ann" && changed.isAdministrator)
        #expect(try await accounts.account(account.id) == changed)
        #expect(writes.value == 2)
    }

    @Test func aChangeIsTriedTwentyTimesWithPauses() async throws {
        let account = try await create()
        rig.store.forgetJournal()
        rig.store.beforeWrite { [rig] (record) async throws(StoreError) in
            // The same change as this one; another made it all the same.
            if record.kind == .account { await rig.changeElsewhere(account.id) { $0.name = "Ann" } }
        }
        await #expect(throws: AccountError.conflict) { try await accounts.change(account.id, AccountChange(name: "Ann"), by: .command) }
        #expect(rig.store.journal == ["audit account.change"] + Array(repeating: "write account", count: 20))
        let range = Duration.milliseconds(1)...Duration.milliseconds(10)
        #expect(rig.pauses.values.count == 18 && rig.pauses.values.allSatisfy { range.contains($0) })
    }

    @Test func aRemovedAccountIsGoneAndItsAddressCanHaveAnother() async throws {
        let account = try await create(isAdministrator: true)
        #expect(try await accounts.remove(account.id, by: .command))
        #expect(try await !accounts.remove(account.id, by: .command))
        #expect(try await accounts.account(.ann) == nil)
        let again = try await create()
        #expect(again.id.equalsUTF8(account.id) && !again.epoch.equalsUTF8(account.epoch) && !again.isAdministrator)
    }

    @Test func aChangeOfARemovedAccountThatArrivesLateChangesNoLaterOne() async throws {
        let account = try await create(isAdministrator: true)
        let late = try account.record(revision: 2)
        #expect(try await accounts.remove(account.id, by: .command))
        #expect(try await !rig.store.write(late))
        #expect(try await accounts.account(account.id) == nil)
        let again = try await invite().account
        #expect(try await !rig.store.write(late))
        #expect(try await accounts.account(account.id) == again)
        #expect(try await accounts.list(before: nil, limit: 10) == [again])
    }

    @Test func aRemovedAccountCannotBeChanged() async throws {
        let account = try await create()
        #expect(try await accounts.remove(account.id, by: .command))
        rig.store.forgetJournal()
        #expect(try await accounts.change(account.id, AccountChange(name: "Ann"), by: .command) == nil)
        #expect(try await accounts.reset(account.id, by: .command) == nil)
        #expect(try await accounts.list(before: nil, limit: 10).isEmpty)
        #expect(rig.store.journal.isEmpty)
    }

    @Test func anAccountThatIsChangedWhileItIsRemovedIsRemoved() async throws {
        let (account, once) = (try await create(), Once())
        rig.store.beforeWrite { [rig] (record) async throws(StoreError) in
            if record.kind == .account, once.claim() { await rig.changeElsewhere(account.id) { $0.name = "Ann" } }
        }
        #expect(try await accounts.remove(account.id, by: .command))
        #expect(try await accounts.account(.ann) == nil)
    }

    @Test func aDamagedAccountHidesNoOtherAndCanBeRemoved() async throws {
        let bob = try await create(.bob)
        for email in [EmailAddress.ann, .cid] {
            _ = try await create(email)
            try await rig.damage(email)
        }
        await #expect(throws: StoreError.self) { try await accounts.account(.ann) }
        #expect(try await accounts.list(before: nil, limit: 10) == [bob])
        #expect(rig.log.warnings.count == 1 && rig.log.contains("Accounts that cannot be read are left out of a list"))
        await #expect(throws: AccountError.exists(.ann)) { try await create() }
        #expect(try await accounts.remove(Account.id(of: .ann), by: .command))
        #expect(try await rig.told().last?.target == Account.id(of: .ann))
        #expect(try await accounts.account(.ann) == nil)
        let ann = try await create()
        #expect(try await Set(accounts.list(before: nil, limit: 10).map(\.id)) == [ann.id, bob.id])
    }

    @Test func aPageOfAListIsFullAlsoAfterManyThatWereRemoved() async throws {
        for number in 0..<Accounts.page + 5 {
            let removed = Record(kind: .account, id: "zz\(number)", expiresAt: .latest, body: [])
            _ = try await rig.store.memory.write(removed)
        }
        let ids = [try await create(), try await create(.bob)].map(\.id).sorted(by: >)
        #expect(try await accounts.list(before: nil, limit: 2).map(\.id) == ids)
        #expect(try await accounts.list(before: nil, limit: 1).map(\.id) == [ids[0]])
        #expect(rig.log.warnings.isEmpty)
    }

    @Test func accountsAreListedInPages() async throws {
        let ids = [try await create(), try await create(.bob), try await create(.cid)].map(\.id).sorted(by: >)
        #expect(try await accounts.list(before: nil, limit: 2).map(\.id) == Array(ids.prefix(2)))
        #expect(try await accounts.list(before: ids[1], limit: 2).map(\.id) == [ids[2]])
        #expect(try await accounts.list(before: ids[2], limit: 2).isEmpty)
    }

    // MARK: Who may

    @Test(arguments: [
        Administrator(.projects(["shop"]), actor: .command), Administrator(.projects(["shop"]), actor: .administrator),
        Administrator(.projects([.first]), actor: .anonymous), Administrator.command.only("shop"),
    ])
    func onlyAdministratorsOfTheInstanceManageAccounts(caller: Administrator) async throws {
        try await rig.project("shop")
        let ann = try await rig.account(.ann, roles: ["shop": .viewer])
        await #expect(throws: KeyRefusal.unknown) {
            try await accounts.create(.bob, password: AccessRig.password, isAdministrator: true, by: caller)
        }
        await #expect(throws: KeyRefusal.unknown) {
            try await accounts.invite(.bob, name: "", isAdministrator: false, roles: ["shop": .viewer], by: caller)
        }
        await #expect(throws: KeyRefusal.unknown) { try await accounts.reset(ann.id, by: caller) }
        await #expect(throws: KeyRefusal.unknown) { try await accounts.change(ann.id, AccountChange(isAdministrator: true), by: caller) }
        await #expect(throws: KeyRefusal.unknown) { try await accounts.remove(ann.id, by: caller) }
        #expect(rig.store.journal.isEmpty)
        #expect(try await accounts.list(before: nil, limit: 10) == [ann])
    }

    @Test func everyErrorIsOneLine() {
        let errors: [AccountError] = [
            .exists(.ann), .invalidName, .tooManyRoles, .tooMany, .unknownProject("shop"), .conflict, .weakPassword("it is short"),
        ]
        for error in errors { #expect(!"\(error)".isEmpty && !"\(error)".containsUTF8("\n")) }
    }
}
