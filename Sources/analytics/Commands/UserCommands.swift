internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsJSON
internal import ArgumentParser
internal import Foundation

struct UserCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users",
        abstract: "Create, invite, list, disable and remove the accounts of people.",
        discussion: """
            An account signs in with an e-mail address and a password. An administrator of the instance manages all projects and accounts; \
            another account sees the projects in which it has a role (analytics members). The first account closes the service to requests \
            without a key or a session, for good. These commands need neither: they work on the store, also while a service runs.
            """,
        subcommands: [
            CreateUser.self, ListUsers.self, InviteUser.self, ResetUser.self, DisableUser.self, EnableUser.self, RemoveUser.self,
        ],
        defaultSubcommand: ListUsers.self)

    static func withAccounts(_ body: (Accounts, any Store) async throws -> Void) async throws {
        try await CommandSettings.withStore { store, _, logger in
            let accounts = Accounts(
                store: store, hasher: ScryptHasher(), clock: .system, ids: .uuid7(clock: .system), audit: CommandSettings.audit(store),
                logger: logger)
            do {
                try await body(accounts, store)
            } catch AccountError.unknownProject(let project) {
                throw ProjectCommands.unknown(project)
            } catch is HasherBusy {
                throw CommandFailure("there is too little memory to hash the password: free some, and run this again")
            }
        }
    }

    /// Makes an account, and says so if it is the first.
    static func make(_ body: (Accounts) async throws -> Void) async throws {
        try await withAccounts { accounts, store in
            let isFirst = try await !store.isAnonymousAccessClosed()
            try await body(accounts)
            if isFirst { KeyList.tell("This is the first account: from now on requests without a key or a session are refused.") }
        }
    }

    /// Changes the account of an address, and prints it.
    static func change(_ email: EmailAddress, _ change: AccountChange) async throws {
        try await withAccounts { accounts, _ in
            let id = try await existing(email, in: accounts).id
            guard let changed = try await accounts.change(id, change, by: .command) else { throw unknown(email) }
            print(UserList.line(changed))
        }
    }

    static func existing(_ email: EmailAddress, in accounts: Accounts) async throws -> Account {
        guard let account = try await accounts.account(email) else { throw unknown(email) }
        return account
    }

    static func unknown(_ email: EmailAddress) -> CommandFailure {
        CommandFailure("no account has the address \(TerminalText.printable(email.text)): analytics users list")
    }
}

struct CreateUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create an account with a password. It can sign in at once.",
        discussion: """
            The password is the first line of standard input. At a terminal it is asked for and not shown. Without --admin the account \
            sees no project until it gets a role: analytics members set.
            """)

    @Option(help: "The address that the person signs in with.")
    var email: EmailAddress

    @Flag(help: "Read the password from standard input. Every user of the machine can read the arguments of a command.")
    var passwordStdin = false

    @Option(help: "A name for people.")
    var name = ""

    @Flag(help: "Make it an administrator of the instance.")
    var admin = false

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard passwordStdin else { throw ValidationError("the password comes from standard input: use --password-stdin") }
    }

    func run() async throws {
        let password = try PasswordInput.read()
        try await UserCommands.make { accounts in
            let account = try await accounts.create(email, password: password, name: name, isAdministrator: admin, by: .command)
            print(json ? UserList.json(account) : UserList.line(account))
        }
    }
}

struct ListUsers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the accounts, without their secrets.")

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await UserCommands.withAccounts { accounts, _ in
            let list = try await Self.all(accounts)
            print(json ? UserList.json(list) : UserList.text(list))
        }
    }

    /// By address.
    private static func all(_ accounts: Accounts) async throws -> [Account] {
        let limit = 1_000
        var all: [Account] = []
        var page: [Account]
        repeat {
            page = try await accounts.list(before: all.last?.id, limit: limit)
            all += page
        } while page.count == limit
        return all.sorted { $0.email.text.utf8.lexicographicallyPrecedes($1.email.text.utf8) }
    }
}

struct InviteUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invite",
        abstract: "Create an account without a password, and print a token that sets it. It is not shown again.",
        discussion: "Standard output has the token and nothing else. Who has the token is this person: send it to nobody else.")

    @Option(help: "The address that the person signs in with.")
    var email: EmailAddress

    @Option(help: "A name for people.")
    var name = ""

    @Flag(help: "Make it an administrator of the instance.")
    var admin = false

    @Option(help: "A role in a project, such as shop=editor. May be repeated.")
    var role: [ProjectRole] = []

    func validate() throws { _ = try roles() }

    func roles() throws -> [ProjectID: Role] {
        var roles: [ProjectID: Role] = [:]
        for one in role {
            guard roles.updateValue(one.role, forKey: one.project) == nil else {
                throw ValidationError("--role names the project \(one.project) twice")
            }
        }
        return roles
    }

    func run() async throws {
        try await UserCommands.make { accounts in
            let invited = try await accounts.invite(email, name: name, isAdministrator: admin, roles: try roles(), by: .command)
            UserList.print(token: invited.token, of: email)
        }
    }
}

struct ResetUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "End all sessions of an account, and print a token that sets a new password. It is not shown again.",
        discussion: "Also removes the second factor. Earlier tokens are refused. Standard output has the token and nothing else.")

    @Argument(help: "The account's address.")
    var email: EmailAddress

    func run() async throws {
        try await UserCommands.withAccounts { accounts, _ in
            let id = try await UserCommands.existing(email, in: accounts).id
            guard let token = try await accounts.reset(id, by: .command) else { throw UserCommands.unknown(email) }
            UserList.print(token: token, of: email)
        }
    }
}

struct DisableUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable",
        abstract: "End all sessions of an account, and refuse its sign-in.",
        discussion: "In force everywhere within 30 seconds.")

    @Argument(help: "The account's address.")
    var email: EmailAddress

    func run() async throws { try await UserCommands.change(email, AccountChange(isDisabled: true)) }
}

struct EnableUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "enable", abstract: "Let a disabled account sign in again.")

    @Argument(help: "The account's address.")
    var email: EmailAddress

    func run() async throws { try await UserCommands.change(email, AccountChange(isDisabled: false)) }
}

struct RemoveUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove an account and its roles. Its sessions are refused everywhere within 30 seconds.")

    @Argument(help: "The account's address.")
    var email: EmailAddress

    func run() async throws {
        try await UserCommands.withAccounts { accounts, _ in
            guard try await accounts.remove(Account.id(of: email), by: .command) else { throw UserCommands.unknown(email) }
            print("\(TerminalText.printable(email.text)) is removed")
        }
    }
}

/// `--role` on the command line.
struct ProjectRole: ExpressibleByArgument, Equatable {
    let project: ProjectID
    let role: Role

    init?(argument: String) {
        guard let (name, text) = argument.cutUTF8(atFirst: "="), let project = ProjectID(name), let role = Role(rawValue: String(text))
        else { return nil }
        self.project = project
        self.role = role
    }
}

/// A password that a command reads.
enum PasswordInput {
    /// The first line of standard input. What follows it is left for the next command.
    static func read() throws -> String {
        guard isatty(STDIN_FILENO) == 0 else {
            // Not shown (getpass(3)).
            guard let typed = getpass("Password: ") else { throw CommandFailure("the password cannot be read from the terminal") }
            return try line(of: UnsafeRawBufferPointer(start: typed, count: strlen(typed)))
        }
        return try line(
            of: sequence(state: ()) { _ -> UInt8? in
                var byte: UInt8 = 0
                return Foundation.read(STDIN_FILENO, &byte, 1) == 1 ? byte : nil
            })
    }

    /// The first line, without its end, which is a line feed, with or without a carriage return. Reads no byte after it.
    static func line(of bytes: some Sequence<UInt8>) throws -> String {
        var line: [UInt8] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") { break }
            line.append(byte)
            guard line.count <= PasswordRule.longest + 1 else { break }
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty else { throw CommandFailure("standard input has no password: its first line is the password") }
        guard line.count <= PasswordRule.longest else {
            throw CommandFailure("the password has more than \(PasswordRule.longest) bytes: use a shorter one")
        }
        guard let text = String(validating: line, as: UTF8.self) else { throw CommandFailure("the password must be in UTF-8") }
        return text
    }
}

/// Accounts as commands print them.
enum UserList {
    /// The token alone on standard output, so that a shell can take it into a variable; what people should know on standard error.
    static func print(token: String, of email: EmailAddress) {
        Swift.print(token)
        KeyList.tell(
            "With this token \(email.text) sets a password, once, within \(DurationArgument(Accounts.invitationLifetime)). It is not shown "
                + #"again. Send it as: POST /api/v1/auth/accept {"token":"TOKEN","password":"…"}"#)
    }

    static func json(_ account: Account) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.members(of: account)
        writer.endObject()
        return writer.text
    }

    /// `{"accounts":[{"id","email","name","administrator",…}]}`
    static func json(_ accounts: [Account]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("accounts")
        writer.beginArray()
        for account in accounts {
            writer.beginObject()
            writer.members(of: account)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }

    static func text(_ accounts: [Account]) -> String {
        accounts.isEmpty ? "No account." : accounts.map(line).joined(separator: "\n")
    }

    static func line(_ account: Account) -> String {
        let roles = account.roles.sorted { $0.key < $1.key }.map { "\($0.value.rawValue) of \($0.key)" }
        let parts: [String?] = [
            "\(account.id) \(account.email.text)", account.name.isEmpty ? nil : "name \(account.name)",
            account.isAdministrator ? "administrator" : nil, roles.isEmpty ? nil : roles.joined(separator: ", "),
            account.password == nil && account.identity == nil ? "invited" : nil, account.totp?.isOn == true ? "second factor" : nil,
            "created \(account.createdAt.rfc3339)",
            account.disabledAt.map { "disabled \($0.rfc3339)" },
        ]
        return TerminalText.printable(parts.compactMap(\.self).joined(separator: ", "), limit: 10_000)
    }
}
