internal import AnalyticsCore
internal import AnalyticsJSON
internal import ArgumentParser
internal import Foundation

struct Erase: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Delete events permanently, and show the progress.",
        discussion: """
            An erasure covers the events received until it is requested. A running processor carries it out. It is done about \
            an hour later, when no part of the service shows the events any more. Events that are sent again are not stored.
            """,
        subcommands: [
            RequestErasure.self, ShowErasures.self, EraseAgain.self, ExportErasures.self, ImportErasures.self,
        ],
        defaultSubcommand: RequestErasure.self)
}

struct RequestErasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request",
        abstract: "Request the deletion of events. An event must match all conditions.",
        discussion: """
            The events of a user are those with the user id, and those without a user id whose anonymous id belongs to the user.
            """)

    @Option(help: "A user id. This and the next four options may be repeated.")
    var user: [String] = []

    @Option(help: "An anonymous id.")
    var anonymous: [String] = []

    @Option(help: "A type.")
    var type: [String] = []

    @Option(help: "A source.")
    var source: [String] = []

    @Option(help: "A property and its value, such as email=ann@example.com for data.email.")
    var data: [String] = []

    @Option(help: "The start of the range, such as 2026-03-01T00:00:00Z.")
    var from: String?

    @Option(help: "The end of the range, exclusive.")
    var to: String?

    @Option(help: "The project.")
    var project = ProjectID.first

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws { _ = try selection() }

    func selection() throws -> Selection {
        var selection = Selection(
            project: project, types: type, sources: source, userIds: user, anonymousIds: anonymous, from: try Self.time(from, "--from"),
            to: try Self.time(to, "--to"))
        for text in data {
            guard let (name, value) = text.cutUTF8(atFirst: "="), let path = try? PropertyPath(.data, name) else {
                throw ValidationError("--data must be PATH=VALUE, with keys joined by dots")
            }
            if let place = selection.data.firstIndex(where: { $0.path == path.keys }) {
                selection.data[place].values.append(String(value))
            } else {
                selection.data.append(DataCondition(path: path.keys, values: [String(value)]))
            }
        }
        let lists = [user, anonymous, type, source] + selection.data.map(\.values)
        guard lists.allSatisfy({ $0.count <= Erasures.maximumValues && !$0.contains(where: \.isEmpty) }) else {
            throw ValidationError("a condition has at most \(Erasures.maximumValues) values, none of them empty")
        }
        guard lists.contains(where: { !$0.isEmpty }) || from != nil || to != nil else {
            throw ValidationError("nothing to erase is named: use --user, --anonymous, --type, --source, --data, --from or --to")
        }
        if let from = selection.from, let to = selection.to, from >= to { throw ValidationError("--to must be later than --from") }
        return selection
    }

    private static func time(_ text: String?, _ name: String) throws -> Timestamp? {
        guard let text else { return nil }
        guard let time = Timestamp(rfc3339: text) else {
            throw ValidationError("\(name) must be an RFC 3339 date-time such as 2026-03-01T12:34:56Z")
        }
        return time
    }

    func run() async throws {
        let selection = try selection()
        try await Erase.withErasures { erasures, audit in
            try await audit.record(.eraseStart, project: project, details: conditions, by: .command, from: nil)
            ErasureList.print([try await erasures.request(selection)], json: json)
        }
    }

    /// For the audit log. Without the values: they would be kept longer than the events.
    private var conditions: String {
        let lists = [("type", type), ("source", source), ("userId", user), ("anonymousId", anonymous), ("data", data)]
        let range = [from.map { "from: \($0)" }, to.map { "to: \($0)" }].compactMap(\.self)
        return (lists.filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1.count)" } + range).joined(separator: "; ")
    }
}

struct ShowErasures: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Show the progress of erasures, the newest first.")

    @Argument(help: "The id of an erasure; by default all are shown.")
    var id: String?

    @Option(help: "The project.")
    var project = ProjectID.first

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await Erase.withErasures { erasures, _ in
            guard let id else { return ErasureList.print(try await erasures.list(of: project), json: json) }
            guard let erasure = try await erasures.erasure(id, of: project) else { throw Erase.unknown(id, project) }
            ErasureList.print([erasure], json: json)
        }
    }
}

struct EraseAgain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "again", abstract: "Run an erasure again, after a restore of older events.")

    @Argument(help: "The erasure's id.")
    var id: String

    @Option(help: "The project.")
    var project = ProjectID.first

    func run() async throws {
        try await Erase.withErasures { erasures, audit in
            guard let known = try await erasures.erasure(id, of: project) else { throw Erase.unknown(id, project) }
            try await audit.record(.eraseStart, project: project, target: known.id, details: "again", by: .command, from: nil)
            guard let erasure = try await erasures.again(id, of: project) else { throw Erase.unknown(id, project) }
            ErasureList.print([erasure], json: false)
        }
    }
}

struct ExportErasures: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Print the tombstones of all projects, one per line, to keep with backups.",
        discussion: "They have digests instead of ids.")

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            let erasures = Erasures(store: store, clock: .system, ids: .uuid7(clock: .system))
            for record in try await store.projectRecords().sorted(by: { $0.project < $1.project }) {
                for erasure in try await erasures.list(of: record.project).reversed() {
                    if let exported = ExportedErasure(erasure) { print(exported.text) }
                }
            }
        }
    }
}

struct ImportErasures: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Restore exported tombstones after the restore of a backup, and run each erasure again.")

    @Argument(help: "The file that `analytics erase export` was written to.")
    var file: String

    func run() async throws {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { throw CommandFailure("\(file) cannot be read") }
        var exported: [ExportedErasure] = []
        for (number, line) in text.splitUTF8("\n").enumerated() {
            guard let erasure = ExportedErasure(String(line)) else {
                throw CommandFailure("\(file): line \(number + 1) is not an exported erasure; nothing was imported")
            }
            exported.append(erasure)
        }
        try await Erase.withErasures { erasures, audit in
            var failed = 0
            for erasure in exported {
                try await audit.record(
                    .eraseStart, project: erasure.project, target: erasure.id, details: "import", by: .command, from: nil)
                if try await erasures.restore(erasure).state == .failed { failed += 1 }
            }
            print("\(exported.count - failed) erasures are restored and run again: analytics erase status")
            if failed > 0 { print("\(failed) have failed here and do not run: request them again, as their failures say") }
        }
    }
}

extension Erase {
    static func withErasures(_ body: (Erasures, AuditLog) async throws -> Void) async throws {
        try await CommandSettings.withStore { store, _, _ in
            do {
                try await body(Erasures(store: store, clock: .system, ids: .uuid7(clock: .system)), CommandSettings.audit(store))
            } catch ErasureError.tooMany {
                throw CommandFailure("the project has as many erasures as it may have: name several users in one")
            } catch ErasureError.failed {
                throw CommandFailure("the erasure has failed, and its conditions are not kept: request it again, as its failure says")
            } catch ErasureError.tooLarge {
                throw CommandFailure("the tombstones of the project would take more than 16 MiB: erase by type, source or time")
            }
        }
    }

    static func unknown(_ id: String, _ project: ProjectID) -> CommandFailure {
        CommandFailure("the project \(project) has no erasure \(TerminalText.printable(id))")
    }
}

/// Erasures as commands print them.
enum ErasureList {
    static func print(_ erasures: [Erasure], json: Bool) {
        Swift.print(json ? Self.json(erasures) : erasures.isEmpty ? "No erasure." : erasures.map(line).joined(separator: "\n"))
    }

    static func json(_ erasures: [Erasure]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("erasures")
        writer.beginArray()
        for erasure in erasures {
            writer.beginObject()
            writer.members(of: erasure)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }

    static func line(_ erasure: Erasure) -> String {
        let parts: [String?] = [
            "\(erasure.deletedEvents) events deleted",
            erasure.deletedDeadLetters > 0 ? "\(erasure.deletedDeadLetters) dead letters deleted" : nil,
            erasure.unreadDeadLetters > 0 ? "\(erasure.unreadDeadLetters) dead letters not looked into" : nil,
            erasure.state == .erasing ? erasure.position.map { "down to \($0.rfc3339)" } : nil,
            erasure.doneAt.map { "done at \($0.rfc3339)" }, erasure.failure,
        ]
        let state = "\(erasure.id) \(erasure.state.rawValue), requested at \(erasure.requestedAt.rfc3339)"
        return state + ": " + parts.compactMap(\.self).joined(separator: ", ")
    }
}
