internal import AnalyticsCore
internal import ArgumentParser

struct Retention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show or change how long events are kept.",
        discussion: """
            The retention of a project is in the store; RETENTION_DAYS applies only to new projects. Processors delete events that \
            are 7 days older than the retention. Their counts remain.
            """,
        subcommands: [ShowRetention.self, SetRetention.self],
        defaultSubcommand: ShowRetention.self)
}

struct ShowRetention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show each project's retention and watermark.")

    func run() async throws {
        try await CommandSettings.withStore { store, settings, _ in
            let records = try await store.projectRecords().sorted { $0.project < $1.project }
            for record in records { print(Self.line(record)) }
            if records.isEmpty { print("No project yet. A new one gets \(Self.days(settings.retentionDays ?? 0)).") }
        }
    }

    static func line(_ record: ProjectRecord) -> String {
        let retention = record.retentionDays.map(days) ?? "not set, the next processor sets it from RETENTION_DAYS"
        let watermark = record.watermark.map { "events before \($0.rfc3339) are deleted, their counts stay" } ?? "no event is deleted"
        return "project \(record.project): \(retention); \(watermark)"
    }

    static func days(_ days: Int) -> String {
        days == 0 ? "0 (events are kept for ever)" : "\(days) days"
    }
}

struct SetRetention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change a project's retention.",
        discussion: """
            A running service uses it within a minute; no restart is needed. A shorter retention rejects older events from then on and \
            deletes those that are 7 days older; this cannot be undone. A longer retention does not bring deleted events back: events before \
            the project's watermark are not accepted again.
            """)

    @Argument(help: "Days that events are kept, 0 for ever.")
    var days: Int

    @Option(help: "The project.")
    var project = ProjectID.first

    func validate() throws {
        guard (0...RetentionPlan.maximumDays).contains(days) else {
            throw ValidationError("DAYS must be 0 to \(RetentionPlan.maximumDays)")
        }
    }

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            try await CommandSettings.audit(store).record(
                .projectChange, project: project, target: project.name, details: "retentionDays: \(days)", by: .command, from: nil)
            try await store.setRetention(of: project, days: days, at: WallClock.system.now())
            for record in try await store.newestRecords(of: [project]) { print(ShowRetention.line(record)) }
        }
    }
}
