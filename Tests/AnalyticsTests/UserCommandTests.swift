import ArgumentParser
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import analytics

struct UserCommandTests {
    private static func parsed<C>(_ words: String...) throws -> C {
        try #require(try Analytics.parseAsRoot(words) as? C)
    }

    @Test func theCommandsAreThere() throws {
        let create: CreateUser = try Self.parsed(
            "users", "create", "--email", "Ann@Shop.example", "--password-stdin", "--name", "Ann", "--admin")
        #expect(create.email.text == "ann@shop.example" && create.name == "Ann" && create.admin && !create.json)
        #expect(try (Self.parsed("users") as ListUsers).json == false)
        let invite: InviteUser = try Self.parsed(
            "users", "invite", "--email", "bob@shop.example", "--role", "shop=owner", "--role", "zoo=viewer")
        #expect(try invite.roles() == ["shop": .owner, "zoo": .viewer] && !invite.admin)
        #expect(try (Self.parsed("users", "reset", "a@b.example") as ResetUser).email.text == "a@b.example")
        #expect(try (Self.parsed("users", "disable", "a@b.example") as DisableUser).email.text == "a@b.example")
        #expect(try (Self.parsed("users", "enable", "a@b.example") as EnableUser).email.text == "a@b.example")
        #expect(try (Self.parsed("users", "remove", "a@b.example") as RemoveUser).email.text == "a@b.example")
        #expect(try (Self.parsed("members", "list", "--project", "shop", "--json") as ListMembers).json)
        let set: SetMember = try Self.parsed("members", "set", "--project", "shop", "--email", "a@b.example", "--role", "editor")
        #expect(set.project == "shop" && set.role == .editor)
        let remove: RemoveMember = try Self.parsed("members", "remove", "--project", "shop", "--email", "a@b.example")
        #expect(remove.project == "shop" && remove.email.text == "a@b.example")
        let audit: AuditCommand = try Self.parsed("audit", "--project", "shop", "--limit", "1000", "--cursor", "0123", "--json")
        #expect(audit.project == "shop" && audit.limit == 1_000 && audit.cursor == "0123" && audit.json)
        #expect(try (Self.parsed("audit") as AuditCommand).limit == 100)
    }

    @Test(arguments: [
        ["users", "create", "--email", "a@b.example"], ["users", "create", "--password-stdin"],
        ["users", "create", "--email", "ann", "--password-stdin"],
        ["users", "create", "--email", "a@b.example", "--password-stdin", "seven green umbrellas"],
        ["users", "create", "--email", "a@b.example", "--password", "seven green umbrellas"],
        ["users", "invite", "--email", "a@b.example", "--role", "shop"],
        ["users", "invite", "--email", "a@b.example", "--role", "shop=root"],
        ["users", "invite", "--email", "a@b.example", "--role", "Shop=owner"],
        ["users", "invite", "--email", "a@b.example", "--role", "shop=owner", "--role", "shop=viewer"], ["users", "disable"],
        ["users", "remove", "ann"], ["members"], ["members", "list"], ["members", "set", "--project", "shop", "--email", "a@b.example"],
        ["members", "set", "--project", "shop", "--email", "a@b.example", "--role", "admin"], ["audit", "--limit", "0"],
        ["audit", "--limit", "1001"], ["audit", "--project", "Shop"],
    ])
    func whatIsWrongIsRefused(words: [String]) { #expect(throws: (any Error).self) { try Analytics.parseAsRoot(words) } }

    @Test(arguments: [
        ("seven green", "seven green"), ("seven green\n", "seven green"), ("seven green\r\nmore\n", "seven green"), (" ü \nmore", " ü "),
        ("a\rb\n", "a\rb"), (String(repeating: "a", count: 1_024) + "\r\n", String(repeating: "a", count: 1_024)),
    ])
    func thePasswordIsTheFirstLineWithoutItsEnd(input: String, password: String) throws {
        #expect(try PasswordInput.line(of: Array(input.utf8)).equalsUTF8(password))
    }

    @Test func anInputWithoutAPasswordIsRefused() {
        let inputs: [[UInt8]] = [
            [], [0x0A], [0x0D, 0x0A], Array("\nmore".utf8), Array(repeating: 0x61, count: 1_025), [0x61, 0xFF, 0x0A],
        ]
        for input in inputs { #expect(throws: CommandFailure.self) { try PasswordInput.line(of: input) } }
    }

    @Test func nothingAfterTheFirstLineIsRead() throws {
        var rest = Array("one\ntwo\n".utf8)[...]
        let bytes = AnySequence { AnyIterator { rest.popFirst() } }
        #expect(try PasswordInput.line(of: bytes) == "one" && PasswordInput.line(of: bytes) == "two")
        rest = Array(repeating: 0x61, count: 1_000_000)[...]
        #expect(throws: CommandFailure.self) { try PasswordInput.line(of: bytes) }
        #expect(rest.count == 1_000_000 - 1_026)
    }

    private static func account(_ email: String = "ann@shop.example") -> Account {
        Account(email: EmailAddress(email)!, epoch: "0123456789abcdef", createdAt: Timestamp(milliseconds: 0))
    }

    @Test func aListShowsNoSecret() throws {
        var account = Self.account()
        #expect(UserList.line(account) == "\(account.id) ann@shop.example, invited, created 1970-01-01T00:00:00.000Z")
        account.name = "A\u{1B}\"nn"
        account.isAdministrator = true
        account.roles = ["zoo": .viewer, "shop": .owner]
        account.identity = ProviderIdentity(issuer: "https://sign-in.example", subject: "17")
        account.disabledAt = Timestamp(milliseconds: 1)
        #expect(
            UserList.line(account)
                == #"\#(account.id) ann@shop.example, name A\u{1B}"nn, administrator, owner of shop, viewer of zoo, "#
                + "created 1970-01-01T00:00:00.000Z, disabled 1970-01-01T00:00:00.001Z")
        let json = UserList.json([account])
        #expect(
            json
                == #"{"accounts":[{"id":"\#(account.id)","email":"ann@shop.example","name":"A\u001b\"nn","administrator":true,"totp":false,"#
                + #""roles":{"shop":"owner","zoo":"viewer"},"createdAt":"1970-01-01T00:00:00.000Z","#
                + #""disabledAt":"1970-01-01T00:00:00.001Z"}]}"#)
        #expect(json == #"{"accounts":["# + UserList.json(account) + "]}")
        #expect(UserList.json([]) == #"{"accounts":[]}"# && UserList.text([]) == "No account.")
    }

    @Test func membersHaveTheirRole() {
        let account = Self.account()
        #expect(MemberList.text([(account, .editor)]) == "\(account.id) editor ann@shop.example")
        #expect(
            MemberList.json([(account, .editor)])
                == #"{"members":[{"id":"\#(account.id)","email":"ann@shop.example","name":"","role":"editor"}]}"#)
        #expect(MemberList.json([]) == #"{"members":[]}"# && MemberList.text([]) == "No member.")
    }

    @Test func anEntrySaysWhoDidWhat() {
        var entry = AuditEntry(
            id: "0199", time: Timestamp(milliseconds: 0), actor: "account 0123", action: .keyCreate, project: "shop", target: "4567",
            details: "name: a\u{1B}b", address: "192.0.2.7")
        #expect(
            AuditList.text([entry], next: nil, names: ["account 0123": "ann@shop.example"])
                == "1970-01-01T00:00:00.000Z key.create by account 0123 (ann@shop.example), project shop, 4567, from 192.0.2.7, "
                + #"name: a\u{1B}b"# + "\nNo more.")
        #expect(
            AuditList.json([entry], next: "0199")
                == #"{"entries":[{"id":"0199","time":"1970-01-01T00:00:00.000Z","actor":"account 0123","action":"key.create","#
                + #""project":"shop","target":"4567","details":"name: a\u001bb","address":"192.0.2.7"}],"cursor":"0199"}"#)
        entry = AuditEntry(
            id: "0199", time: Timestamp(milliseconds: 0), actor: "command line", action: .projectCreate, project: nil, target: "",
            details: "", address: nil)
        #expect(AuditList.line(entry, name: nil) == "1970-01-01T00:00:00.000Z project.create by command line")
        #expect(AuditList.text([], next: nil, names: [:]) == "No entry.")
        #expect(AuditList.text([entry], next: "0199", names: [:]).hasSuffix("\nThere may be more: --cursor 0199"))
        #expect(AuditList.json([], next: nil) == #"{"entries":[],"cursor":null}"#)
    }
}
