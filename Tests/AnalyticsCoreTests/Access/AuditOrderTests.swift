import TestSupport
import Testing

@testable import AnalyticsCore

private let oldKey = StoredKey(number: 1)

/// Every change is told of before it is made.
struct AuditOrderTests {
    struct Change: Sendable, CustomTestStringConvertible {
        var action: AuditAction
        /// Of its entry; `nil` if it is not known before.
        var target: String?
        var project: ProjectID?
        /// Returns secrets that it made.
        var make: @Sendable (AccessRig, Administrator) async throws -> [String]

        var testDescription: String { action.rawValue }

        init(
            _ action: AuditAction, target: String? = nil, project: ProjectID? = nil,
            _ make: @escaping @Sendable (AccessRig, Administrator) async throws -> [String]
        ) {
            self.action = action
            self.target = target
            self.project = project
            self.make = make
        }
    }

    static let changes: [Change] = [
        Change(.projectCreate, target: "bank", project: "bank") { rig, caller in
            _ = try await rig.projects.create("bank", title: "The bank", by: caller)
            return []
        },
        Change(.projectChange, target: "shop", project: "shop") { rig, caller in
            _ = try await rig.projects.change("shop", ProjectChange(title: "Laden", retentionDays: 5), by: caller)
            return []
        },
        Change(.projectArchive, target: "shop", project: "shop") { rig, caller in
            _ = try await rig.projects.change("shop", ProjectChange(isArchived: true), by: caller)
            return []
        },
        Change(.projectRestore, target: "old", project: "old") { rig, caller in
            _ = try await rig.projects.change("old", ProjectChange(isArchived: false), by: caller)
            return []
        },
        Change(.keyCreate, project: "shop") { rig, caller in
            [try await rig.keys.create(project: "shop", scope: .admin, name: "web", expiresAt: nil, by: caller).key.text]
        },
        Change(.keyRotate, target: oldKey.id, project: "shop") { rig, caller in
            [try #require(try await rig.keys.rotate(oldKey.id, overlap: .seconds(60), by: caller)).key.text]
        },
        Change(.keyRevoke, target: oldKey.id, project: "shop") { rig, caller in
            _ = try await rig.keys.revoke(oldKey.id, by: caller)
            return []
        },
        Change(.accountCreate, target: "cid@example.org") { rig, caller in
            let account = try await rig.accounts.create(.cid, password: AccessRig.password, isAdministrator: true, by: caller)
            return [AccessRig.password, try #require(account.password).text, account.epoch]
        },
        Change(.accountInvite, target: "cid@example.org") { rig, caller in
            let roles: [ProjectID: Role] = ["shop": .viewer]
            let invited = try await rig.accounts.invite(.cid, name: "Cid", isAdministrator: false, roles: roles, by: caller)
            return [invited.token, invited.account.epoch]
        },
        Change(.memberSet, target: "bob@example.org", project: "shop") { rig, caller in
            _ = try await rig.accounts.setRole(.editor, of: .bob, in: "shop", by: caller)
            return []
        },
        Change(.memberRemove, target: "bob@example.org", project: "shop") { rig, caller in
            _ = try await rig.accounts.removeRole(of: Account.id(of: .bob), in: "shop", by: caller)
            return []
        },
        Change(.accountChange, target: "bob@example.org") { rig, caller in
            let change = AccountChange(name: "Bob", isAdministrator: true, isDisabled: true)
            _ = try await rig.accounts.change(Account.id(of: .bob), change, by: caller)
            return []
        },
        Change(.accountReset, target: "bob@example.org") { rig, caller in
            [try #require(try await rig.accounts.reset(Account.id(of: .bob), by: caller))]
        },
        Change(.accountRemove, target: "bob@example.org") { rig, caller in
            _ = try await rig.accounts.remove(Account.id(of: .bob), by: caller)
            return []
        },
    ]

    private let rig = AccessRig()

    /// Projects, a key, a member, and a caller who may do everything.
    private func prepare() async throws -> (caller: Administrator, actor: String) {
        for project in ["shop", "old"] as [ProjectID] { try await rig.project(project) }
        try await rig.store.memory.setArchived(of: "old", at: noon)
        try await rig.store.memory.createKey(oldKey)
        try await rig.account(.bob, roles: ["shop": .viewer])
        let (caller, account, _) = try await rig.signedIn(.ann, isAdministrator: true)
        return (caller, "account \(account.id)")
    }

    @Test(arguments: changes)
    func anEntryIsWrittenBeforeTheChange(change: Change) async throws {
        let (caller, actor) = try await prepare()
        _ = try await change.make(rig, caller)
        #expect(rig.store.journal.first == "audit \(change.action.rawValue)")
        let entry = try #require(try await rig.told().first)
        // Further entries are about roles in projects.
        let others = rig.store.journal.dropFirst().prefix { $0.starts(withUTF8: "audit ") }
        #expect(others.allSatisfy { $0.starts(withUTF8: "audit member.") } && rig.store.journal.count > 1 + others.count)
        #expect(try await rig.told().count == 1 + others.count)
        #expect(entry.time == noon && entry.actor.equalsUTF8(actor) && entry.address == "192.0.2.7")
        #expect(entry.action == change.action && entry.project == change.project)
        if let target = change.target { #expect(entry.target.equalsUTF8(target)) }
    }

    @Test(arguments: changes)
    func nothingIsChangedIfItCannotBeToldOf(change: Change) async throws {
        let (caller, _) = try await prepare()
        rig.store.down([.audit])
        await #expect(throws: StoreError.self) { try await change.make(rig, caller) }
        #expect(rig.store.journal == ["audit \(change.action.rawValue)"])
    }

    @Test func noEntryHasASecret() async throws {
        let (caller, _) = try await prepare()
        var secrets: [String] = []
        for change in Self.changes {
            secrets += try await change.make(rig, caller)
            // The same address is created, and then invited.
            if change.action == .accountCreate { _ = try await rig.accounts.remove(Account.id(of: .cid), by: caller) }
        }
        let bodies = try await rig.store.records(.audit, of: nil, before: nil, limit: 1_000).map {
            String(decoding: $0.body, as: UTF8.self)
        }
        // One more is of the account that is removed, and one of the role of the one that is invited.
        #expect(secrets.count == 8 && bodies.count == Self.changes.count + 2)
        #expect(bodies.contains { $0.contains("cid@example.org") })
        for secret in secrets { #expect(!bodies.contains { $0.contains(secret) }) }
    }

    @Test func anEntryNamesTheKeyThatWasMadeAndWhatItMayDo() async throws {
        let (caller, _) = try await prepare()
        let made = try await rig.keys.create(project: "shop", scope: .write, name: "web", expiresAt: noon + .seconds(60), by: caller)
        let new = try #require(try await rig.keys.rotate(made.stored.id, overlap: .seconds(90), by: caller))
        let told = try await rig.told()
        #expect(told.map(\.target) == [made.stored.id, made.stored.id])
        #expect(told.first?.details == #"scope: write; name: "web"; expires: 2026-03-01T12:01:00.000Z"#)
        #expect(
            told.last?.details
                == "new key: \(new.stored.id); scope: write; name: \"web\"; expires: 2026-03-01T12:01:00.000Z; overlap: 90 s")
    }

    @Test func anEntryNamesTheNewSettingsOfAProject() async throws {
        let (caller, _) = try await prepare()
        let change = ProjectChange(
            title: "Laden", timeZone: ZoneName("Europe/Berlin"), retentionDays: 30,
            properties: [try PropertyPath("data.plan")],
            visitorIds: true, origins: ["HTTPS://Shop.example"], rates: ProjectRates(requestsPerSecond: 10), isArchived: true)
        _ = try await rig.projects.change("shop", change, by: caller)
        _ = try await rig.projects.change("shop", ProjectChange(isArchived: true), by: caller)
        _ = try await rig.projects.change("shop", change, by: caller)
        _ = try await rig.projects.change("shop", ProjectChange(), by: caller)
        let told = try await rig.told()
        #expect(told.map(\.action) == [.projectChange, .projectArchive])
        #expect(
            told.first?.details
                == #"title: "Laden"; timeZone: Europe/Berlin; retentionDays: 30; properties: "data.plan"; visitorIds: true; "#
                + "allowedOrigins: https://shop.example; requestsPerSecond: 10; eventsPerSecond: none")
        #expect(told.last?.details == "")
    }

    @Test func anEntryNamesTheNewAccountAndItsRoles() async throws {
        let (caller, _) = try await prepare()
        _ = try await rig.accounts.invite(.cid, name: "Cid", isAdministrator: true, roles: ["shop": .owner, "old": .viewer], by: caller)
        _ = try await rig.accounts.change(Account.id(of: .cid), AccountChange(name: "", isAdministrator: false), by: caller)
        _ = try await rig.accounts.setRole(.editor, of: .cid, in: "shop", by: caller)
        #expect(
            try await rig.told().map(\.details) == [
                #"administrator; name: "Cid"; old: viewer; shop: owner"#, "role: viewer; account invited", "role: owner; account invited",
                #"name: ""; administrator: false"#, "role: editor",
            ])
    }

    @Test func aNameCannotLookLikeOtherDetails() async throws {
        let (caller, _) = try await prepare()
        let name = #"x"; administrator: true; name: "y"#
        _ = try await rig.accounts.change(Account.id(of: .bob), AccountChange(name: name), by: caller)
        _ = try await rig.keys.create(project: "shop", scope: .read, name: #"a\"#, expiresAt: nil, by: caller)
        _ = try await rig.projects.create("bank", title: #""B""#, by: caller)
        #expect(
            try await rig.told().map(\.details) == [
                #"name: "x\"; administrator: true; name: \"y""#, #"scope: read; name: "a\\""#, #"title: "\"B\"""#,
            ])
    }
}
