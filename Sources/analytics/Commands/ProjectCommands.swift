internal import AnalyticsAPI
public import AnalyticsCore
internal import AnalyticsJSON
public import ArgumentParser

struct Projects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show projects, or change one.",
        subcommands: [ListProjects.self, SetProject.self],
        defaultSubcommand: ListProjects.self)
}

struct ListProjects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the projects with their time zone and retention.")

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            let records = try await store.projectRecords().sorted { $0.project < $1.project }
            print(json ? Self.json(records) : records.isEmpty ? "No project yet." : records.map(Self.line).joined(separator: "\n"))
        }
    }

    static func line(_ record: ProjectRecord) -> String {
        "project \(record.project): time zone \(record.timeZone ?? .utc), retention "
            + (record.retentionDays.map(ShowRetention.days) ?? "not set")
    }

    /// `{"projects":[{"id","timeZone","retentionDays"}]}`; a retention of null is not set yet.
    static func json(_ records: [ProjectRecord]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("projects")
        writer.beginArray()
        for record in records {
            writer.beginObject()
            writer.member("id", record.project.name)
            writer.member("timeZone", (record.timeZone ?? .utc).text)
            writer.key("retentionDays")
            if let days = record.retentionDays { writer.integer(Int64(days)) } else { writer.json("null".utf8) }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}

struct SetProject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change a project.",
        discussion: "The time zone is that of questions which name none: where their days, weeks and months begin. No event changes.")

    @Option(help: "The project.")
    var project = AnonymousAccess.project

    @Option(help: "A zone of the IANA database, such as Europe/Berlin.")
    var timeZone: ZoneName

    func validate() throws {
        guard ZoneDatabase.system.rules(of: timeZone) != nil else {
            throw ValidationError("this machine's time zone data does not know \(timeZone); it has names such as Europe/Berlin and UTC")
        }
    }

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            try await store.setTimeZone(of: project, to: timeZone)
            for record in try await store.newestRecords(of: [project]) { print(ListProjects.line(record)) }
        }
    }
}

/// `--time-zone` on the command line.
extension ZoneName: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
