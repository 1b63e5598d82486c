internal import AnalyticsCore
internal import AnalyticsJSON
internal import ArgumentParser

struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Show the events and deliveries that could not be stored.",
        subcommands: [ListDeadLetters.self],
        defaultSubcommand: ListDeadLetters.self)
}

struct ListDeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the dead letters, the oldest first, without removing them.",
        discussion: """
            Shows reason, time, project, request, event ids and size, but no event data, client addresses or user agents. \
            With RabbitMQ it may run while a service runs, and shows at most the oldest \(DeadLetterLimit.maximumLetters); each \
            listing raises the delivery counts of the letters. An embedded queue can be read only while its service is stopped.
            """)

    @Option(help: "Letters to list, 1 to \(DeadLetterLimit.maximumLetters).")
    var limit = 100

    @Option(help: "Continue after the position at the end of the previous list (embedded queue only).")
    var after: String?

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard (1...DeadLetterLimit.maximumLetters).contains(limit) else {
            throw ValidationError("--limit must be 1 to \(DeadLetterLimit.maximumLetters)")
        }
    }

    func run() async throws {
        try await CommandSettings.withBroker { broker in
            let page = try await broker.deadLetters(after: after.map(DeadLetterPosition.init), limit: DeadLetterLimit(letters: limit))
            print(json ? DeadLetterList.json(page) : DeadLetterList.text(page))
        }
    }
}

/// A page of dead letters as the command prints it.
enum DeadLetterList {
    /// `{"letters":[{"at","reason","project","request","eventIds","attempts","error","bytes"}],"hasMore":…,"next":…}`; an unreadable letter
    /// has `unreadable` and `bytes` only.
    static func json(_ page: DeadLetterPage) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("letters")
        writer.beginArray()
        for letter in page.letters { write(DeadLetterSummary(letter), to: &writer) }
        writer.endArray()
        writer.key("hasMore")
        writer.boolean(page.hasMore)
        writer.member("next", page.next?.text)
        writer.endObject()
        return writer.text
    }

    private static func write(_ letter: DeadLetterSummary, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("unreadable", letter.unreadable)
        writer.member("at", letter.at?.rfc3339)
        writer.member("reason", letter.reason?.rawValue)
        writer.member("project", letter.project?.name)
        writer.member("request", letter.request)
        if letter.reason != nil {
            writer.key("eventIds")
            writer.beginArray()
            for id in letter.eventIds { writer.string(id) }
            writer.endArray()
        }
        writer.member("attempts", letter.attempts.map(Int64.init))
        writer.member("error", letter.error)
        writer.member("bytes", Int64(letter.size))
        writer.endObject()
    }

    /// One line per letter, and a last line that says whether there are more.
    static func text(_ page: DeadLetterPage) -> String {
        let lines = page.letters.map { line(DeadLetterSummary($0)) }
        let more = page.next.map { "There are more: --after \($0.text)" } ?? "There are more."
        let end = page.letters.isEmpty ? "No dead letters." : page.hasMore ? more : "No more."
        return (lines + [end]).joined(separator: "\n")
    }

    private static func line(_ letter: DeadLetterSummary) -> String {
        guard let reason = letter.reason, let at = letter.at else {
            return "unreadable (\(TerminalText.printable(letter.unreadable ?? ""))), \(letter.size) bytes"
        }
        let names = [
            letter.project.map { "project \($0)" }, letter.request.map { "request \($0)" },
            letter.eventIds.isEmpty ? nil : "events \(letter.eventIds.joined(separator: " "))",
        ]
        let details =
            names.compactMap(\.self).map { TerminalText.printable($0) } + ["attempts \(letter.attempts ?? 0)", "\(letter.size) bytes"]
        return "\(at.rfc3339) \(reason.rawValue): \(details.joined(separator: ", ")): \(TerminalText.printable(letter.error ?? ""))"
    }
}
