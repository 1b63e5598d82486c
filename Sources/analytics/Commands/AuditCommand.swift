internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsJSON
internal import ArgumentParser

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Show who changed what, when and from which address, the newest first.",
        discussion: """
            An entry is written before the change that it tells of, so it may tell of a change that then failed. Entries are kept for \
            \(DurationArgument(AuditLog.kept)).
            """)

    @Option(help: "Only entries about this project.")
    var project: ProjectID?

    @Option(help: "Entries to show, 1 to \(AuditCommand.longest).")
    var limit = 100

    @Option(help: "Continue after the entry with this id, the last one of the previous list.")
    var cursor: String?

    @Flag(help: "Print one JSON document.")
    var json = false

    static let longest = 1_000

    func validate() throws {
        guard (1...Self.longest).contains(limit) else { throw ValidationError("--limit must be 1 to \(Self.longest)") }
    }

    func run() async throws {
        try await UserCommands.withAccounts { accounts, store in
            let entries = try await CommandSettings.audit(store).entries(of: project, before: cursor, limit: limit)
            let next = entries.count == limit ? entries.last?.id : nil
            guard !json else { return print(AuditList.json(entries, next: next)) }
            print(AuditList.text(entries, next: next, names: await Self.names(entries, accounts)))
        }
    }

    /// The addresses of accounts that acted, by the text of the actor.
    private static func names(_ entries: [AuditEntry], _ accounts: Accounts) async -> [String: String] {
        var names: [String: String] = [:]
        for actor in Set(entries.map(\.actor)) where actor.starts(withUTF8: "account ") {
            names[actor] = try? await accounts.account(actor.trimmingUTF8(first: 8))?.email.text
        }
        return names
    }
}

/// Entries of the audit log as the command prints them.
enum AuditList {
    /// `{"entries":[{"id","time","actor","action","project","target","details","address"}],"cursor":…}`; project, address and cursor may be
    /// null.
    static func json(_ entries: [AuditEntry], next: String?) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("entries")
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.members(of: entry)
            writer.endObject()
        }
        writer.endArray()
        writer.nullable("cursor", next)
        writer.endObject()
        return writer.text
    }

    /// One line per entry, and a last line that says how to see more.
    static func text(_ entries: [AuditEntry], next: String?, names: [String: String]) -> String {
        let more = next.map { "There may be more: --cursor \(TerminalText.printable($0))" }
        let end = more ?? (entries.isEmpty ? "No entry." : "No more.")
        return (entries.map { line($0, name: names[$0.actor]) } + [end]).joined(separator: "\n")
    }

    /// - Parameter name: The address of the account that acted, if it is there.
    static func line(_ entry: AuditEntry, name: String?) -> String {
        let parts: [String?] = [
            "\(entry.time.rfc3339) \(entry.action.rawValue) by \(entry.actor)" + (name.map { " (\($0))" } ?? ""),
            entry.project.map { "project \($0)" }, entry.target.isEmpty ? nil : entry.target, entry.address.map { "from \($0)" },
            entry.details.isEmpty ? nil : entry.details,
        ]
        return TerminalText.printable(parts.compactMap(\.self).joined(separator: ", "), limit: 2_000)
    }
}
