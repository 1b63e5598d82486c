internal import ArgumentParser

@main
struct Analytics: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "analytics",
        abstract: "Collects events, stores them, and answers questions about them.",
        discussion: """
            Settings come from the environment and from a file .env in the working directory; .env.example lists them all. Without any, \
            `analytics serve` is a complete service in one process that keeps its data in ./data.
            """,
        version: BuildInfo.version,
        subcommands: [
            Serve.self, Import.self, Export.self, Query.self, Verify.self, Reconcile.self, RebuildRollups.self, ProjectCommands.self,
            KeyCommands.self, UserCommands.self, MemberCommands.self, AuditCommand.self, UsageCommand.self, Retention.self, Erase.self,
            DeadLetters.self, Health.self,
        ],
        defaultSubcommand: nil
    )
}

enum BuildInfo {
    static let version = "0.1.0"
}
