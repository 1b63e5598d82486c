internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsJSON
internal import ArgumentParser
internal import Foundation

struct KeyCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Make, list, rotate and revoke keys.",
        discussion: """
            A key belongs to one project and has one scope: write (send events), read (ask questions) or admin (both, and change the project and \
            its keys). The first key closes the service to requests without a key, for good. These commands need no key: they work on the \
            store, also while a service runs.
            """,
        subcommands: [CreateKey.self, ListKeys.self, RevokeKey.self, RotateKey.self, SetUpKeys.self],
        defaultSubcommand: ListKeys.self)

    static func withKeys(_ body: (Keys, any Store) async throws -> Void) async throws {
        try await CommandSettings.withStore { store, _, _ in
            do {
                try await body(Keys(store: store, clock: .system, audit: CommandSettings.audit(store)), store)
            } catch KeyError.unknownProject(let project) {
                throw CommandFailure("there is no project \(project): analytics projects create \(project)")
            }
        }
    }

    static func unknown(_ id: String) -> CommandFailure {
        CommandFailure("no key has the id \(TerminalText.printable(id)): analytics keys list")
    }
}

struct CreateKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a key, and print it. It is not shown again.",
        discussion: "Standard output has the key and nothing else: KEY=$(analytics keys create --project shop --scope write)")

    @Option(help: "The project.")
    var project: ProjectID

    @Option(help: "What the key may do: \(Scope.allCases.map(\.rawValue).joined(separator: ", ")).")
    var scope: Scope

    @Option(help: "A name for people, at most \(StoredKey.longestName) bytes.")
    var name = ""

    @Option(help: "How long it is accepted, such as 30d, 12h, 90m or 45s; by default until it is revoked.")
    var expires: DurationArgument?

    @Option(help: "Requests per second with this key, beside the rate of its project.")
    var requestsPerSecond: RateArgument?

    @Option(help: "Events per second with this key, beside the rate of its project.")
    var eventsPerSecond: RateArgument?

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        if let expires, expires.duration == .zero { throw ValidationError("--expires must be longer than 0") }
    }

    func run() async throws {
        try await KeyCommands.withKeys { keys, store in
            let isFirst = try await !store.isAnonymousAccessClosed()
            let new = try await keys.create(
                project: project, scope: scope, name: name, expiresAt: expires.map { WallClock.system.now() + $0.duration },
                rates: ProjectRates(requestsPerSecond: requestsPerSecond?.perSecond, eventsPerSecond: eventsPerSecond?.perSecond),
                by: .command)
            KeyList.print(new, json: json)
            if isFirst { KeyList.tell("This is the first key: from now on requests without a key are refused.") }
        }
    }
}

struct ListKeys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List keys, without their secrets, the revoked and expired ones too.")

    @Option(help: "Only keys of this project.")
    var project: ProjectID?

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await KeyCommands.withKeys { keys, _ in
            let list = try await keys.list(of: project)
            print(json ? KeyList.json(list) : KeyList.text(list))
        }
    }
}

struct RevokeKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Revoke a key for good. Every process refuses it within 30 seconds.")

    @Argument(help: "The key's id.")
    var id: String

    func run() async throws {
        try await KeyCommands.withKeys { keys, _ in
            guard let key = try await keys.revoke(id, by: .command) else { throw KeyCommands.unknown(id) }
            print(KeyList.line(key))
        }
    }
}

struct RotateKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Make a new key in place of another, and print it. It is not shown again.",
        discussion: "The new key has the project, scope, name and rates of the old one, which is accepted until the overlap is over.")

    @Argument(help: "The old key's id.")
    var id: String

    @Option(help: "How long the old key is still accepted, at most \(DurationArgument(Keys.longestOverlap)); 0s for no longer.")
    var overlap = DurationArgument(Keys.usualOverlap)

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard overlap.duration <= Keys.longestOverlap else {
            throw ValidationError("--overlap must be at most \(DurationArgument(Keys.longestOverlap))")
        }
    }

    func run() async throws {
        try await KeyCommands.withKeys { keys, _ in
            let new = try await keys.rotate(id, overlap: overlap.duration, by: .command)
            guard let new else { throw KeyCommands.unknown(id) }
            KeyList.print(new, json: json)
            KeyList.tell(
                overlap.duration == .zero
                    ? "The old key \(id) is no longer accepted." : "The old key \(id) is accepted for at most \(overlap) more.")
        }
    }
}

/// `--expires` and `--overlap` on the command line: a whole number and `s`, `m`, `h` or `d`.
struct DurationArgument: ExpressibleByArgument, CustomStringConvertible, Equatable {
    let duration: Duration

    /// A hundred years.
    static let longest = Duration.seconds(36_500 * 86_400)

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        let units: [UInt8: Int] = [
            UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3_600, UInt8(ascii: "d"): 86_400,
        ]
        guard let unit = argument.utf8.last.flatMap({ units[$0] }) else { return nil }
        let digits = argument.utf8.dropLast()
        // Ten digits cannot overflow.
        guard (1...10).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int(argument.trimmingUTF8(last: 1))
        else { return nil }
        duration = .seconds(count * unit)
        guard duration <= Self.longest else { return nil }
    }

    /// In the largest unit that leaves a whole number.
    var description: String {
        let seconds = duration.milliseconds / 1_000
        for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] as [(Int64, String)] where seconds > 0 && seconds % unit == 0 {
            return "\(seconds / unit)\(name)"
        }
        return "\(seconds)s"
    }
}

/// Keys as commands print them.
enum KeyList {
    /// The key alone on standard output, so that a shell can take it into a variable; what people should know on standard error.
    static func print(_ new: NewKey, json: Bool) {
        guard !json else { return Swift.print(Self.json(new)) }
        Swift.print(new.key.text)
        tell(
            "Key \(new.stored.id) of the project \(new.stored.project), scope \(new.stored.scope.rawValue)"
                + (new.stored.expiresAt.map { ", accepted until \($0.rfc3339)" } ?? "")
                + ". It is not shown again. Send it as: Authorization: Bearer KEY")
    }

    static func tell(_ line: String) { FileHandle.standardError.write(Data("\(TerminalText.printable(line))\n".utf8)) }

    /// `{"id","key","project","scope"}`
    static func json(_ new: NewKey) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("id", new.stored.id)
        writer.member("key", new.key.text)
        writer.member("project", new.stored.project.name)
        writer.member("scope", new.stored.scope.rawValue)
        writer.endObject()
        return writer.text
    }

    /// `{"keys":[{"id","project","scope","name","prefix","maker","requestsPerSecond","eventsPerSecond","createdAt","expiresAt",`
    /// `"lastUsedAt","revokedAt"}]}`; rates and the last three may be null.
    static func json(_ keys: [StoredKey]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("keys")
        writer.beginArray()
        for key in keys {
            writer.beginObject()
            writer.members(of: key)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }

    static func text(_ keys: [StoredKey]) -> String {
        keys.isEmpty ? "No key." : keys.map(line).joined(separator: "\n")
    }

    static func line(_ key: StoredKey) -> String {
        let parts: [String?] = [
            "\(key.id) \(key.scope.rawValue) \(key.prefix)…, project \(key.project)", key.name.isEmpty ? nil : "name \(key.name)",
            "made \(key.createdAt.rfc3339) by \(key.maker)", key.rates.text, key.expiresAt.map { "expires \($0.rfc3339)" },
            key.lastUsedAt.map { "last used \($0.rfc3339)" } ?? "never used", key.revokedAt.map { "revoked \($0.rfc3339)" },
        ]
        return TerminalText.printable(parts.compactMap(\.self).joined(separator: ", "))
    }
}
