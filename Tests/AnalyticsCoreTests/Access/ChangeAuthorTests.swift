import TestSupport
import Testing

@testable import AnalyticsCore

struct ChangeAuthorTests {
    private let rig = AccessRig()

    private func create(_ caller: Administrator, in project: ProjectID = "shop") async throws -> NewKey {
        try await rig.keys.create(project: project, scope: .read, name: "", expiresAt: nil, by: caller)
    }

    @Test func aRealmIsTheInstanceOrSomeProjects() {
        let instance = Administrator(.instance, actor: .administrator, address: "192.0.2.1")
        #expect(instance.isOfInstance && instance.manages("shop") && instance.manages("bank"))
        let some = Administrator(.projects(["shop", "bank"]), actor: .key("1"))
        #expect(!some.isOfInstance && some.manages("shop") && some.manages("bank") && !some.manages("other"))
        #expect(some.only("shop") == Administrator(.projects(["shop"]), actor: .key("1")))
        #expect(some.only("other") == Administrator(.projects([]), actor: .key("1")))
        #expect(instance.only("shop") == Administrator(.projects(["shop"]), actor: .administrator, address: "192.0.2.1"))
        #expect(!instance.only("shop").isOfInstance)
    }

    @Test func everyAuthorHasAText() {
        let authors: [ChangeAuthor] = [.command, .administrator, .anonymous, .key("0123456789abcdef"), .account("0a1b", session: "2c3d")]
        #expect(authors.map(\.text) == ["command line", "administrator", "anonymous", "0123456789abcdef", "account 0a1b"])
    }

    @Test func anOwnerMakesKeysOfItsProjectsAndNoOthers() async throws {
        for project in ["shop", "bank", "other"] as [ProjectID] { try await rig.project(project) }
        let (caller, account, _) = try await rig.signedIn(.ann, roles: ["shop": .owner, "bank": .owner])
        #expect(try await create(caller).stored.maker.equalsUTF8("account \(account.id)"))
        _ = try await create(caller.only("bank"), in: "bank")
        await #expect(throws: KeyRefusal.unknown) { try await create(caller, in: "other") }
        await #expect(throws: KeyRefusal.unknown) { try await create(caller.only("bank"), in: "shop") }
        await #expect(throws: KeyRefusal.unknown) { try await rig.projects.create("new", title: nil, by: caller) }
        // The realm alone does not count.
        let claimed = Administrator(.instance, actor: caller.actor)
        await #expect(throws: KeyRefusal.unknown) { try await create(claimed, in: "other") }
        await #expect(throws: KeyRefusal.unknown) { try await rig.projects.create("new", title: nil, by: claimed) }
        #expect(try await rig.keys.list(of: nil).count == 2)
    }

    @Test func anAdministratorOfTheInstanceMakesAnything() async throws {
        try await rig.project("shop")
        let (caller, account, _) = try await rig.signedIn(.ann, isAdministrator: true)
        _ = try await create(caller)
        _ = try await create(caller.only("shop"))
        _ = try await rig.projects.create("new", title: nil, by: caller)
        await rig.changeElsewhere(account.id) { $0.isAdministrator = false }
        await #expect(throws: KeyRefusal.unknown) { try await create(caller) }
        await #expect(throws: KeyRefusal.unknown) { try await rig.projects.create("other", title: nil, by: caller) }
        await #expect(throws: KeyRefusal.unknown) { try await rig.accounts.remove(account.id, by: caller) }
    }

    /// What happened since the request was authenticated.
    enum Loss: CaseIterable, Sendable {
        case roleLowered, roleTaken, disabled, signedOutEverywhere, signedOut, sessionExpired, accountRemoved
    }

    @Test(arguments: Loss.allCases)
    func anAccountThatMayNotAnyMoreChangesNothing(loss: Loss) async throws {
        try await rig.project("shop")
        let (caller, account, session) = try await rig.signedIn(.ann, roles: ["shop": .owner])
        let key = try await create(caller)
        switch loss {
        case .roleLowered: await rig.changeElsewhere(account.id) { $0.roles["shop"] = .editor }
        case .roleTaken: await rig.changeElsewhere(account.id) { $0.roles = ["bank": .owner] }
        case .disabled: await rig.changeElsewhere(account.id) { $0.disabledAt = noon }
        case .signedOutEverywhere: await rig.changeElsewhere(account.id) { $0.epoch = "fedcba9876543210" }
        case .signedOut: try await rig.store.memory.removeRecords(.session, [session])
        case .sessionExpired: rig.clock.advance(by: AccessRig.sessionLength)
        case .accountRemoved: try await rig.store.memory.removeRecords(.account, [account.id])
        }
        rig.store.forgetJournal()
        await #expect(throws: KeyRefusal.unknown) { try await create(caller) }
        await #expect(throws: KeyRefusal.unknown) { try await rig.keys.rotate(key.stored.id, overlap: .zero, by: caller) }
        await #expect(throws: KeyRefusal.unknown) { try await rig.keys.revoke(key.stored.id, by: caller) }
        await #expect(throws: KeyRefusal.unknown) {
            try await rig.projects.change("shop", ProjectChange(title: "Mine", isArchived: true), by: caller)
        }
        #expect(rig.store.journal.isEmpty)
        #expect(try await rig.keys.list(of: nil) == [key.stored])
    }

    @Test func aSessionIsOfItsOwnAccount() async throws {
        try await rig.project("shop")
        let owner = try await rig.account(.bob, roles: ["shop": .owner])
        let session = try await rig.signedIn(.ann).session
        let forged = Administrator(.projects(["shop"]), actor: .account(owner.id, session: session))
        await #expect(throws: KeyRefusal.unknown) { try await create(forged) }
    }

    @Test func anAnonymousCallerChangesProjectsOnlyBeforeTheFirstAccount() async throws {
        let caller = Administrator(.projects([.first]), actor: .anonymous)
        #expect(try await rig.projects.change(.first, ProjectChange(title: "Mine"), by: caller)?.title == "Mine")
        _ = try await rig.accounts.create(.ann, password: AccessRig.password, isAdministrator: true, by: .command)
        await #expect(throws: KeyRefusal.unknown) { try await rig.projects.change(.first, ProjectChange(title: "Yours"), by: caller) }
        await #expect(throws: KeyRefusal.unknown) { try await create(caller, in: .first) }
        #expect(try await rig.projects.record(of: .first)?.title == "Mine")
    }
}
