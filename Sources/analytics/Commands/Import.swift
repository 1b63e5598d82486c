internal import AnalyticsCore
internal import ArgumentParser
internal import Foundation

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a file of events to a running service.",
        discussion: """
            Reads NDJSON (an event a line) or CSV (a row an event, see --map), and sends batches to /api/v1/events/batch, several at a time. \
            An import that ended in the middle goes on where it was when it is started again with the same file and options. Events without \
            an id get one made of the file's name, their place in it and the bytes of their batch, so importing the same file twice, with the \
            same --batch, stores nothing twice.

            A mapping is field=template: {column}, {column:.14} (its first 14 characters), {column:02} (filled with zeros to 2), {#} (the \
            row's number), and text:
              analytics import flights.csv --map type='{carrier}' --map source='{origin}' --map id='flight-{#}' \
            --map timestamp='{time_hour:.14}{minute:02}:00Z'
            Every column is kept in data, numbers as numbers.
            """)

    enum InputFormat: String, ExpressibleByArgument, CaseIterable {
        case ndjson
        case csv
    }

    @Argument(help: "The file, or - for standard input.")
    var file: String

    @Option(help: "The service's address; by default this machine at PORT.")
    var url: String?

    @Option(help: "ndjson or csv; by default what the file's name says.")
    var format: InputFormat?

    @Option(name: .customLong("map"), help: "CSV: how a field is made of columns, field=template; may be repeated.")
    var mappings: [String] = []

    @Option(name: .customLong("null"), help: "CSV: a cell with this text is null; may be repeated. Default: NA and the empty cell.")
    var nulls: [String] = ["", "NA"]

    @Option(help: "CSV: what separates columns.")
    var separator = ","

    @Option(name: .customLong("batch"), help: "Events in a request.")
    var batchSize = 1_000

    @Option(name: .customLong("in-flight"), help: "Requests under way at a time.")
    var inFlight = 8

    @Flag(inversion: .prefixedNo, help: "Compress the requests.")
    var gzip = true

    @Flag(inversion: .prefixedNo, help: "Wait until the events are stored. Without it, duplicates are not told from accepted events.")
    var wait = true

    @Option(help: "Where progress is kept; by default beside the file. Removed at the end.")
    var state: String?

    func validate() throws {
        guard (1...10_000).contains(batchSize) else { throw ValidationError("--batch must be 1 to 10000") }
        guard (1...64).contains(inFlight) else { throw ValidationError("--in-flight must be 1 to 64") }
        guard separator.utf8.count == 1 || separator == "\\t" else { throw ValidationError("--separator must be one character") }
    }

    func run() async throws {
        let settings = try await CommandSettings.read()
        let handle = try open()
        let size = file == "-" ? nil : try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int
        let name = file == "-" ? "-" : URL(fileURLWithPath: file).lastPathComponent
        let run = ImportRun(
            reader: RecordReader(handle, format: recordFormat()),
            sender: BatchSender(
                url: url ?? "http://127.0.0.1:\(settings.server.port)", compresses: gzip, waitsForStored: wait, attempts: 12),
            name: name, identity: ([name, String(size ?? 0), separator] + mappings + nulls).joined(separator: "|"),
            batchSize: batchSize, inFlight: inFlight, statePath: file == "-" && state == nil ? nil : state ?? file + ".import",
            progress: ProgressLine(totalBytes: size))
        let (tally, seconds) = try await run()
        print(
            "\(tally.accepted) accepted, \(wait ? "\(tally.duplicates) duplicate" : "duplicates not counted"), \(tally.rejected) rejected, "
                + "in \(String(format: "%.1f", seconds)) s")
        if tally.rejected > 0 { throw ExitCode(1) }
    }

    private func open() throws -> FileHandle {
        if file == "-" { return .standardInput }
        guard let handle = FileHandle(forReadingAtPath: file) else { throw CommandFailure("\(file) cannot be read") }
        return handle
    }

    private func recordFormat() -> RecordReader.Format {
        guard (format ?? (file.lowercased().hasSuffix(".csv") ? .csv : .ndjson)) == .csv else { return .lines }
        let byte = separator == "\\t" ? UInt8(ascii: "\t") : separator.utf8.first ?? UInt8(ascii: ",")
        return .csv(assignments: mappings, nulls: Set(nulls), separator: byte)
    }
}
