internal import AnalyticsAPI
public import AnalyticsCore
internal import AnalyticsJSON
public import ArgumentParser

struct Projects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show or change projects.",
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
            + (record.properties.isEmpty ? "" : ", properties \(record.properties.map(\.text).joined(separator: ","))")
            + (record.hasVisitorIds ? ", visitor ids on" : "")
    }

    /// `{"projects":[{"id","timeZone","retentionDays","properties","visitorIds"}]}`; `retentionDays` is null if not set.
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
            writer.key("properties")
            writer.beginArray()
            for path in record.properties { writer.string(path.text) }
            writer.endArray()
            writer.key("visitorIds")
            writer.boolean(record.hasVisitorIds)
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
        discussion: """
            The time zone applies to questions that name none: it decides where their days, weeks and months begin. The properties get \
            columns in segments, so that questions about them need not read events. Visitor ids are made for events with neither a \
            userId nor an anonymousId, from address and user agent, with a secret that changes every UTC day. Stored events do not change.
            """)

    @Option(help: "The project.")
    var project = AnonymousAccess.project

    @Option(help: "A zone of the IANA database, such as Europe/Berlin.")
    var timeZone: ZoneName?

    @Option(help: "Paths joined by commas, such as data.plan,data.amount. They replace all earlier ones; an empty text removes all.")
    var properties: PropertyList?

    enum Switch: String, CaseIterable, ExpressibleByArgument {
        case on
        case off
    }

    @Option(help: "Whether events without a user get a visitor id. Takes effect within 15 seconds.")
    var visitorIds: Switch?

    func validate() throws {
        if timeZone == nil, properties == nil, visitorIds == nil {
            throw ValidationError("nothing to set is named: use --time-zone, --properties or --visitor-ids")
        }
        if let timeZone, ZoneDatabase.system.rules(of: timeZone) == nil {
            throw ValidationError("this machine's time zone data does not know \(timeZone); it has names such as Europe/Berlin and UTC")
        }
    }

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            if let timeZone { try await store.setTimeZone(of: project, to: timeZone) }
            if let properties { try await store.setProperties(of: project, to: properties.paths) }
            if let visitorIds { try await store.setVisitorIds(of: project, to: visitorIds == .on) }
            for record in try await store.newestRecords(of: [project]) { print(ListProjects.line(record)) }
        }
    }
}

/// `--properties` on the command line.
struct PropertyList: ExpressibleByArgument {
    var paths: [PropertyPath] = []

    init?(argument: String) {
        for text in argument.splitUTF8(",") {
            guard let path = try? PropertyPath(String(text)) else { return nil }
            if !paths.contains(path) { paths.append(path) }
        }
        guard paths.count <= ProjectRecord.maximumProperties else { return nil }
    }
}

/// `--time-zone` on the command line.
extension ZoneName: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
