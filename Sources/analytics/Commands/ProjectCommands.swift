internal import AnalyticsAPI
public import AnalyticsCore
internal import AnalyticsJSON
public import ArgumentParser

struct ProjectCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "projects",
        abstract: "Create, show or change projects.",
        subcommands: [CreateProject.self, ListProjects.self, SetProject.self, ArchiveProject.self, RestoreProject.self],
        defaultSubcommand: ListProjects.self)

    static func withProjects(_ body: (Projects) async throws -> Void) async throws {
        try await CommandSettings.withStore { store, _, _ in
            try await body(Projects(store: store, clock: .system, audit: CommandSettings.audit(store)))
        }
    }

    static func unknown(_ project: ProjectID) -> CommandFailure {
        CommandFailure("there is no project \(project): analytics projects create \(project)")
    }
}

struct CreateProject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create a project.",
        discussion: "The next step is a key: analytics keys create --project ID --scope write")

    @Argument(help: "The id: 1 to \(ProjectID.longest) lower-case letters, digits, - and _; the first is a letter or a digit.")
    var id: ProjectID

    @Option(help: "A name for people.")
    var title: String?

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await ProjectCommands.withProjects { projects in
            ListProjects.print([try await projects.create(id, title: title, by: .command)], json: json)
        }
    }
}

struct ListProjects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the projects with their settings.")

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await ProjectCommands.withProjects { projects in Self.print(try await projects.list(), json: json) }
    }

    static func print(_ records: [ProjectRecord], json: Bool) {
        Swift.print(json ? Self.json(records) : records.isEmpty ? "No project yet." : records.map(line).joined(separator: "\n"))
    }

    static func line(_ record: ProjectRecord) -> String {
        let parts: [String?] = [
            record.title.map { "'\($0)'" }, "time zone \(record.timeZone ?? .utc)",
            "retention " + (record.retentionDays.map(ShowRetention.days) ?? "not set"),
            record.properties.isEmpty ? nil : "properties \(record.properties.map(\.text).joined(separator: ","))",
            record.hasVisitorIds ? "visitor ids on" : nil,
            record.origins.isEmpty ? nil : "origins \(record.origins.joined(separator: ","))",
            record.rates.text,
            record.archivedAt.map { "archived at \($0.rfc3339)" },
        ]
        return "project \(record.project): " + TerminalText.printable(parts.compactMap(\.self).joined(separator: ", "), limit: 10_000)
    }

    /// `{"projects":[{"id","title","timeZone","retentionDays","properties","visitorIds","allowedOrigins","requestsPerSecond",`
    /// `"eventsPerSecond","createdAt","archivedAt"}]}`; what is not set is null.
    static func json(_ records: [ProjectRecord]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("projects")
        writer.beginArray()
        for record in records {
            writer.beginObject()
            writer.members(of: record)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}

struct ArchiveProject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive",
        abstract: "Stop a project from taking events.",
        discussion: "What is stored can still be read, and nothing is deleted. A running service follows within 20 seconds.")

    @Argument(help: "The project.")
    var project: ProjectID

    func run() async throws { try await SetProject.change(project, ProjectChange(isArchived: true)) }
}

struct RestoreProject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "restore", abstract: "Let an archived project take events again.")

    @Argument(help: "The project.")
    var project: ProjectID

    func run() async throws { try await SetProject.change(project, ProjectChange(isArchived: false)) }
}

struct SetProject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change a project.",
        discussion: """
            The time zone applies to questions that name none: it decides where their days, weeks and months begin. The properties get \
            columns in segments, so that questions about them need not read events. Visitor ids are made for events with neither a \
            userId nor an anonymousId, from address and user agent, with a secret that changes every UTC day. Pages of the origins may send \
            events with a write key. The rates are limits for all keys of the project together, in all processes that share a Redis. Stored \
            events do not change. A running service follows within 20 seconds.
            """)

    @Argument(help: "The project; by default \(ProjectID.first).")
    var id: ProjectID?

    @Option(name: .customLong("project"), help: "The project, in place of the argument.")
    var option: ProjectID?

    var project: ProjectID { id ?? option ?? ProjectID.first }

    @Option(help: "A name for people; an empty text removes it.")
    var title: String?

    @Option(help: "A zone of the IANA database, such as Europe/Berlin.")
    var timeZone: ZoneName?

    @Option(help: "Paths joined by commas, such as data.plan,data.amount. They replace all earlier ones; an empty text removes all.")
    var properties: PropertyList?

    enum Switch: String, CaseIterable, ExpressibleByArgument {
        case on
        case off
    }

    @Option(help: "Whether events without a user get a visitor id.")
    var visitorIds: Switch?

    @Option(help: "Origins joined by commas, such as https://shop.example. They replace all earlier ones; an empty text removes all.")
    var origins: String?

    @Option(help: "Requests per second, or none for no limit.")
    var requestsPerSecond: RateArgument?

    @Option(help: "Events per second, accepted or not, or none for no limit.")
    var eventsPerSecond: RateArgument?

    func validate() throws {
        guard id == nil || option == nil else { throw ValidationError("the project is named twice: leave --project out") }
        if title == nil, timeZone == nil, properties == nil, visitorIds == nil, origins == nil, requestsPerSecond == nil,
            eventsPerSecond == nil
        {
            throw ValidationError("nothing to set is named: use --title, --time-zone, --properties, --visitor-ids, --origins or a rate")
        }
        if let timeZone, ZoneDatabase.system.rules(of: timeZone) == nil {
            throw ValidationError("this machine's time zone data does not know \(timeZone); it has names such as Europe/Berlin and UTC")
        }
    }

    func run() async throws {
        var change = ProjectChange(
            title: title, timeZone: timeZone, properties: properties?.paths, visitorIds: visitorIds.map { $0 == .on },
            origins: origins?.splitUTF8(",").map { $0.removingUTF8(" ") })
        try await Self.apply(to: project) { record in
            if requestsPerSecond != nil || eventsPerSecond != nil {
                var rates = record.rates
                if let requestsPerSecond { rates.requestsPerSecond = requestsPerSecond.perSecond }
                if let eventsPerSecond { rates.eventsPerSecond = eventsPerSecond.perSecond }
                change.rates = rates
            }
            return change
        }
    }

    static func change(_ project: ProjectID, _ change: ProjectChange) async throws { try await apply(to: project) { _ in change } }

    private static func apply(to project: ProjectID, _ change: (ProjectRecord) -> ProjectChange) async throws {
        try await ProjectCommands.withProjects { projects in
            let record = try await projects.record(of: project) ?? ProjectRecord(project: project)
            let changed = try await projects.change(project, change(record), by: .command)
            guard let changed else { throw ProjectCommands.unknown(project) }
            print(ListProjects.line(changed))
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

extension ProjectRates {
    /// As commands print them; `nil` if there is no limit.
    var text: String? {
        let limits = [requestsPerSecond.map { "\($0) requests/s" }, eventsPerSecond.map { "\($0) events/s" }].compactMap(\.self)
        return limits.isEmpty ? nil : "at most \(limits.joined(separator: " and "))"
    }
}

/// A rate on the command line.
struct RateArgument: ExpressibleByArgument {
    /// `nil` for no limit.
    let perSecond: Int?

    init?(argument: String) {
        if argument.equalsUTF8("none") {
            perSecond = nil
            return
        }
        guard let rate = Int(argument), ProjectRates.allowed.contains(rate) else { return nil }
        perSecond = rate
    }
}

/// `--time-zone` on the command line.
extension ZoneName: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
