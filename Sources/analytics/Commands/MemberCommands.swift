internal import AnalyticsCore
internal import AnalyticsJSON
internal import ArgumentParser

struct MemberCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members",
        abstract: "Show and change which accounts may do what in a project.",
        discussion: """
            A viewer reads stored events and asks questions. An editor also sends events. An owner also erases events, and changes the \
            project, its keys and its members. Administrators of the instance are owners of every project, and are not listed.
            """,
        subcommands: [ListMembers.self, SetMember.self, RemoveMember.self],
        defaultSubcommand: ListMembers.self)
}

struct ListMembers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the members of a project.")

    @Option(help: "The project.")
    var project: ProjectID

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await UserCommands.withAccounts { accounts, store in
            let members = try await accounts.members(of: project)
            if members.isEmpty, project != .first, try await store.newestRecords(of: [project]).isEmpty {
                throw ProjectCommands.unknown(project)
            }
            print(json ? MemberList.json(members) : MemberList.text(members))
        }
    }
}

struct SetMember: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Give an account a role in a project, in place of the one that it has there.",
        discussion: "In force everywhere within 30 seconds.")

    @Option(help: "The project.")
    var project: ProjectID

    @Option(help: "The account's address.")
    var email: EmailAddress

    @Option(help: "What the account may do: \(Role.allCases.map(\.rawValue).joined(separator: ", ")).")
    var role: Role

    func run() async throws {
        try await UserCommands.withAccounts { accounts, _ in
            guard let account = try await accounts.setRole(role, of: email, in: project, by: .command) else {
                throw CommandFailure(
                    "no account has the address \(TerminalText.printable(email.text)): "
                        + "analytics users invite --email \(TerminalText.printable(email.text)) --role \(project)=\(role.rawValue)")
            }
            print(MemberList.line((account, role)))
        }
    }
}

struct RemoveMember: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take an account's role in a project away.",
        discussion: "In force everywhere within 30 seconds. The account itself stays.")

    @Option(help: "The project.")
    var project: ProjectID

    @Option(help: "The account's address.")
    var email: EmailAddress

    func run() async throws {
        try await UserCommands.withAccounts { accounts, _ in
            let id = try await UserCommands.existing(email, in: accounts).id
            guard try await accounts.removeRole(of: id, in: project, by: .command) else {
                throw CommandFailure(
                    "\(TerminalText.printable(email.text)) has no role in \(project): analytics members list --project \(project)")
            }
            print("\(TerminalText.printable(email.text)) has no role in \(project) any more")
        }
    }
}

/// Members as commands print them.
enum MemberList {
    /// `{"members":[{"id","email","name","role"}]}`
    static func json(_ members: [(account: Account, role: Role)]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("members")
        writer.beginArray()
        for (account, role) in members {
            writer.beginObject()
            writer.member("id", account.id)
            writer.member("email", account.email.text)
            writer.member("name", account.name)
            writer.member("role", role.rawValue)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }

    static func text(_ members: [(account: Account, role: Role)]) -> String {
        members.isEmpty ? "No member." : members.map(line).joined(separator: "\n")
    }

    static func line(_ member: (account: Account, role: Role)) -> String {
        let (account, role) = member
        let parts: [String?] = [
            "\(account.id) \(role.rawValue) \(account.email.text)", account.name.isEmpty ? nil : "name \(account.name)",
            account.disabledAt.map { "disabled \($0.rfc3339)" },
        ]
        return TerminalText.printable(parts.compactMap(\.self).joined(separator: ", "))
    }
}
