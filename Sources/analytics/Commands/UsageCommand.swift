public import AnalyticsCore
internal import AnalyticsJSON
public import ArgumentParser

struct UsageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage",
        abstract: "Show how many events of a project are stored, by the month of their receipt.",
        discussion: """
            Months are UTC. Events count in the month in which they were received, whatever their timestamp. Deleted events still count; \
            erased ones do not. May run while a service of the same version runs. Like every command that opens the store, it upgrades an \
            older store first: do not run it beside an older service.
            """)

    @Option(help: "The project.")
    var project = ProjectID.first

    @Option(help: "The first month, such as 2026-03; by default eleven months before the last.")
    var from: CivilMonth?

    @Option(help: "The last month; by default this one.")
    var to: CivilMonth?

    @Flag(help: "Print one JSON document, with the days.")
    var json = false

    /// The time that the question may take.
    private static let timeout: Duration = .seconds(3_600)

    func run() async throws {
        let now = WallClock.system.now()
        guard let query = UsageQuery(project: project, from: from, to: to, at: now) else {
            throw ValidationError("--from must not be later than --to, and the range may have \(UsageQuery.maximumMonths) months")
        }
        try await CommandSettings.withStore { store, _, _ in
            let record = try await Projects(store: store, clock: .system, audit: CommandSettings.audit(store)).record(of: project)
            guard record != nil || project == .first else { throw ProjectCommands.unknown(project) }
            let engine = QueryEngine(store: store, cache: NoCache(), gate: QueryGate(limits: .init(timeout: Self.timeout)))
            let usage = try await engine.usage(query)
            print(json ? Self.json(usage, of: project, asOf: now) : Self.text(usage))
        }
    }

    static func text(_ usage: Usage) -> String {
        let months = usage.months.map { [$0.month.text, "\($0.events)"] }
        return AnswerTable(columns: ["month", "events"], rows: months + [["(total)", "\(usage.total)"]]).text(.table)
    }

    /// The answer of `GET /api/v1/projects/{project}/usage`.
    static func json(_ usage: Usage, of project: ProjectID, asOf: Timestamp) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("project", project.name)
        writer.member("asOf", asOf.rfc3339)
        writer.member("total", usage.total)
        writer.key("months")
        writer.beginArray()
        for month in usage.months {
            writer.beginObject()
            writer.members(of: month)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}

/// `--from` and `--to` on the command line.
extension CivilMonth: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
