import TestSupport
import Testing

@testable import AnalyticsCore

struct MembersTests {
    private let rig = AccessRig()
    private let owner = Administrator(.projects(["shop"]), actor: .administrator, address: "192.0.2.1")

    private var accounts: Accounts { rig.accounts }

    private func members(of project: ProjectID = "shop") async throws -> [String] {
        try await accounts.members(of: project).map { "\($0.account.email) \($0.role.rawValue)" }
    }

    @Test func anOwnerGivesChangesAndTakesRoles() async throws {
        try await rig.project("shop")
        let ann = try await rig.account(.ann, roles: ["bank": .owner])
        try await rig.account(.bob)
        let member = try #require(try await accounts.setRole(.viewer, of: .bob, in: "shop", by: owner))
        #expect(member.email == .bob && member.roles == ["shop": .viewer])
        #expect(try await accounts.setRole(.editor, of: .ann, in: "shop", by: owner)?.roles == ["bank": .owner, "shop": .editor])
        #expect(try await members() == ["ann@example.org editor", "bob@example.org viewer"])
        #expect(try await members(of: "bank") == ["ann@example.org owner"])

        _ = try await accounts.setRole(.owner, of: .ann, in: "shop", by: owner)
        #expect(try await members() == ["ann@example.org owner", "bob@example.org viewer"])
        rig.store.forgetJournal()
        _ = try await accounts.setRole(.owner, of: .ann, in: "shop", by: owner)
        #expect(rig.store.journal.isEmpty, "it has this role")
        #expect(try await accounts.removeRole(of: ann.id, in: "shop", by: owner))
        #expect(try await !accounts.removeRole(of: ann.id, in: "shop", by: owner))
        #expect(try await members() == ["bob@example.org viewer"])
        #expect(try await accounts.account(.ann)?.roles == ["bank": .owner])
    }

    @Test func anOwnerCannotInvite() async throws {
        try await rig.project("shop")
        #expect(try await accounts.setRole(.viewer, of: .ann, in: "shop", by: owner) == nil)
        await #expect(throws: KeyRefusal.unknown) {
            try await accounts.invite(.ann, name: "", isAdministrator: false, roles: ["shop": .viewer], by: owner)
        }
        try await rig.account(.bob, hasPassword: false)
        #expect(try await accounts.setRole(.viewer, of: .bob, in: "shop", by: owner) == nil, "an invited person is not there yet")
        #expect(rig.store.journal == ["audit member.set", "audit member.set"])
        let told = try await accounts.audit.entries(of: "shop", before: nil, limit: 10)
        #expect(told.map { "\($0.target): \($0.details)" } == ["bob@example.org: no such account", "ann@example.org: no such account"])
        #expect(try await accounts.account(.ann) == nil)
        #expect(try await members().isEmpty)
    }

    @Test func anInvitedPersonCanBeAMember() async throws {
        try await rig.project("shop")
        try await rig.account(.bob, hasPassword: false)
        #expect(try await accounts.setRole(.viewer, of: .bob, in: "shop", by: .command) != nil)
        #expect(try await accounts.setRole(.editor, of: .bob, in: "shop", by: owner) != nil)
        #expect(try await members() == ["bob@example.org editor"])
    }

    @Test func anAccountWithAProviderAloneCanBeAMember() async throws {
        try await rig.project("shop")
        let bob = try await rig.account(.bob, hasPassword: false)
        await rig.changeElsewhere(bob.id) { $0.identity = ProviderIdentity(issuer: "https://id.example", subject: "1") }
        #expect(try await accounts.setRole(.viewer, of: .bob, in: "shop", by: owner) != nil)
    }

    @Test func anotherProjectIsLikeOneThatDoesNotExist() async throws {
        for project in ["shop", "bank"] as [ProjectID] { try await rig.project(project) }
        let ann = try await rig.account(.ann, roles: ["bank": .viewer])
        await #expect(throws: AccountError.unknownProject("bank")) { try await accounts.setRole(.owner, of: .ann, in: "bank", by: owner) }
        await #expect(throws: AccountError.unknownProject("none")) {
            try await accounts.setRole(.owner, of: .ann, in: "none", by: .command)
        }
        #expect(try await !accounts.removeRole(of: ann.id, in: "bank", by: owner))
        #expect(rig.store.journal.isEmpty)
        #expect(try await accounts.account(.ann) == ann)
    }

    @Test func anOwnerThatLostItsRoleMeanwhileGivesNone() async throws {
        for project in ["shop", "bank"] as [ProjectID] { try await rig.project(project) }
        let (caller, account, _) = try await rig.signedIn(.ann, roles: ["shop": .owner, "bank": .owner])
        let bob = try await rig.account(.bob, roles: ["shop": .viewer])
        #expect(try await accounts.setRole(.editor, of: .bob, in: "shop", by: caller) != nil)
        await rig.changeElsewhere(account.id) { $0.roles["shop"] = .editor }
        rig.store.forgetJournal()
        for email in [EmailAddress.ann, .bob] {
            await #expect(throws: KeyRefusal.unknown) { try await accounts.setRole(.owner, of: email, in: "shop", by: caller) }
        }
        await #expect(throws: KeyRefusal.unknown) { try await accounts.removeRole(of: bob.id, in: "shop", by: caller) }
        #expect(rig.store.journal.isEmpty)
        #expect(try await members() == ["ann@example.org editor", "bob@example.org editor"])
        #expect(try await accounts.setRole(.editor, of: .bob, in: "bank", by: caller) != nil)
    }

    @Test func anAccountHasAThousandRoles() async throws {
        try await rig.project("shop")
        let roles = Dictionary(uniqueKeysWithValues: (1...Account.maximumRoles).map { ("p\($0)" as ProjectID, Role.viewer) })
        try await rig.account(.ann, roles: roles)
        await #expect(throws: AccountError.tooManyRoles) { try await accounts.setRole(.viewer, of: .ann, in: "shop", by: owner) }
        await #expect(throws: AccountError.tooManyRoles) {
            try await accounts.invite(
                .bob, name: "", isAdministrator: false, roles: roles.merging(["shop": .viewer]) { $1 }, by: .command)
        }
        #expect(rig.store.journal.isEmpty)
        try await rig.project("p1")
        #expect(try await accounts.setRole(.owner, of: .ann, in: "p1", by: .command)?.roles["p1"] == .owner, "a role can be changed")
    }

    @Test func aDamagedAccountHidesNoMember() async throws {
        for email in [EmailAddress.ann, .bob] { try await rig.account(email, roles: ["shop": .viewer]) }
        try await rig.damage(.ann)
        #expect(try await members() == ["bob@example.org viewer"])
        #expect(rig.log.warnings.count == 1)
    }

    @Test func rolesThatComeAndGoWithTheAccountAreToldInTheirProjects() async throws {
        for project in ["shop", "bank"] as [ProjectID] { try await rig.project(project) }
        let invited = try await accounts.invite(
            .ann, name: "", isAdministrator: false, roles: ["shop": .owner, "bank": .viewer], by: .command)
        let id = invited.account.id
        for isDisabled in [true, false] { _ = try await accounts.change(id, AccountChange(isDisabled: isDisabled), by: .command) }
        _ = try await accounts.remove(id, by: .command)
        for (project, role) in [("shop", "owner"), ("bank", "viewer")] as [(ProjectID, String)] {
            let told = try await accounts.audit.entries(of: project, before: nil, limit: 10)
            #expect(told.allSatisfy { $0.target == "ann@example.org" })
            #expect(
                told.reversed().map { "\($0.action.rawValue) \($0.details)" } == [
                    "member.set role: \(role); account invited", "member.remove role: \(role); account disabled",
                    "member.set role: \(role); account enabled", "member.remove role: \(role); account removed",
                ])
        }
    }

    @Test func administratorsOfTheInstanceAreListedOnlyWithARole() async throws {
        try await rig.account(.ann, isAdministrator: true)
        try await rig.account(.bob, isAdministrator: true, roles: ["shop": .viewer])
        #expect(try await members() == ["bob@example.org viewer"])
    }
}
