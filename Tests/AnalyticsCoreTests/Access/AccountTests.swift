import TestSupport
import Testing

@testable import AnalyticsCore

struct AccountTests {
    private static let account = Account(
        email: .ann, name: "Ann", isAdministrator: false, roles: ["shop": .owner, "a_b": .viewer],
        password: PlainHasher.hash(AccessRig.password), identity: ProviderIdentity(issuer: "https://id.example", subject: "1é"),
        epoch: "0123456789abcdef", createdAt: noon, disabledAt: noon + .seconds(1))

    private func text(_ record: Record) -> String { String(decoding: record.body, as: UTF8.self) }

    @Test func anAccountIsReadAsItWasWritten() throws {
        let record = try Self.account.record(revision: 7)
        #expect(record.isValid && record.kind == .account && record.revision == 7 && record.owner.isEmpty && record.expiresAt == nil)
        #expect(record.id.equalsUTF8(Self.account.id))
        #expect(try Account(record) == Self.account)
        let plain = Account(email: .bob, epoch: "0123456789abcdef", createdAt: noon)
        #expect(try Account(try plain.record(revision: 1)) == plain)
    }

    @Test func ofTwoEqualChangesAtTheSameTimeOneSucceeds() async throws {
        let store = MemoryStore()
        #expect(try await store.write(try Self.account.record(revision: 1)))
        let (mine, theirs) = (try Self.account.record(revision: 2), try Self.account.record(revision: 2))
        #expect(try await store.write(mine))
        #expect(try await !store.write(theirs))
        #expect(try await store.write(mine), "it can be repeated")
    }

    @Test(arguments: [
        (#""ann@example.org""#, #""bob@example.org""#), (#""ann@example.org""#, #""Ann@example.org""#), (#""ann@example.org""#, #""ann""#),
        (#""owner""#, #""king""#), (#""shop""#, #""No project""#), (#""0123456789abcdef""#, #""0123""#), (#""Ann""#, #""A\nnn""#),
        (#""https://id.example""#, "\"\""), ("$scrypt$", "$md5$"), (#""createdAt""#, #""madeAt""#),
        (#"{"milliseconds":1772366400000}"#, #"{"milliseconds":9223372036854775807}"#), ("{", "["),
    ])
    func aDamagedAccountIsAnError(part: String, replacement: String) throws {
        var record = try Self.account.record(revision: 1)
        #expect(text(record).contains(part))
        record.body = Array(text(record).replacing(part, with: replacement, maxReplacements: 1).utf8)
        let damaged = record
        #expect(throws: StoreError.self) { try Account(damaged) }
    }

    @Test func anAccountUnderAnotherIdIsDamaged() throws {
        var record = try Self.account.record(revision: 1)
        record.id = Account.id(of: .bob)
        let moved = record
        #expect(throws: StoreError.self) { try Account(moved) }
    }

    @Test func anAccountOutOfBoundsIsNotWritten() throws {
        var account = Self.account
        account.name = String(repeating: "x", count: 101)
        let long = account
        #expect(throws: StoreError.self) { try long.record(revision: 1) }
    }

    @Test func theLargestAccountFitsIntoARecord() throws {
        let email = try #require(EmailAddress(String(repeating: "a", count: 64) + "@" + String(repeating: "abcdefgh.", count: 20) + "org"))
        var account = Account(
            email: email, name: String(repeating: "\"", count: 100), password: PlainHasher.hash(AccessRig.password),
            identity: ProviderIdentity(issuer: String(repeating: "\\", count: 255), subject: String(repeating: "\"", count: 255)),
            epoch: "0123456789abcdef", createdAt: .latest, disabledAt: .latest)
        // 40 bytes each.
        for number in 10_000..<10_000 + Account.maximumRoles {
            account.roles["project-with-a-name-of-40-bytes----\(number)"] = .viewer
        }
        #expect(Account.areRoles(account.roles) && account.roles.keys.first?.name.utf8.count == 40)
        #expect(try Account(try account.record(revision: .max)) == account)
        #expect(try account.record(revision: 1).body.count < Record.largestBody - 4_096, "there is room for a second factor")
        account.roles["one-more"] = .viewer
        #expect(!Account.areRoles(account.roles))
    }

    @Test func whatIsLeftOfARemovedAccountIsNoAccount() throws {
        let record = try Self.account.record(revision: 7)
        let left = try #require(record.removedAccount(at: noon))
        #expect(left.isValid && left.id.equalsUTF8(record.id) && left.revision == 8 && left.expiresAt == noon + .seconds(30 * 86_400))
        #expect(String(decoding: left.body, as: UTF8.self) == "{}", "nothing about the person")
        #expect(try Account(left) == nil)
        #expect(left.removedAccount(at: noon) == nil)
    }

    @Test func anIdDependsOnTheAddressAlone() {
        #expect(Self.account.id.equalsUTF8(Account(email: .ann, epoch: "", createdAt: .earliest).id))
        #expect(!Self.account.id.equalsUTF8(Account(email: .bob, epoch: "", createdAt: noon).id))
    }

    // MARK: Roles

    @Test(
        arguments: [(Role.viewer, Set([Scope.read])), (.editor, [.read, .write]), (.owner, [.read, .write, .admin])] as [(Role, Set<Scope>)]
    )
    func aRoleHasItsScopes(role: Role, scopes: Set<Scope>) {
        #expect(role.scopes == scopes)
    }

    @Test func anAdministratorIsOwnerOfEveryProject() {
        var account = Self.account
        #expect(account.role(in: "shop") == .owner && account.role(in: "a_b") == .viewer && account.role(in: "bank") == nil)
        account.isAdministrator = true
        for project in ["shop", "a_b", "bank"] as [ProjectID] { #expect(account.role(in: project) == .owner) }
    }
}
