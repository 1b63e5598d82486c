internal import AnalyticsCore
internal import AnalyticsImport
internal import ArgumentParser
internal import Foundation
internal import NIOPosix
internal import Synchronization

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a file of events to a running service.",
        discussion: """
            Reads NDJSON (an event a line) or CSV (a row an event, see --map), and sends batches to /api/v1/events/batch, several at a time.

            Progress is kept beside the file. Started again with the same file and options, an import goes on where it ended: in the middle, or \
            behind what has been added since. A file that has changed before that place is not sent; --restart sends all of it again.

            Events without an id get one made of the import's name, their line and its bytes, so nothing is stored twice, however often and \
            in whatever batches it is sent.

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

    @Option(help: "What the ids are made from; by default the file's name and a hash of its first line. Standard input needs one.")
    var name: String?

    @Option(help: "Where progress is kept; by default FILE.import, and nowhere for standard input.")
    var state: String?

    @Flag(help: "Send all of it, whatever was sent before.")
    var restart = false

    func validate() throws {
        guard (1...10_000).contains(batchSize) else { throw ValidationError("--batch must be 1 to 10000") }
        guard (1...64).contains(inFlight) else { throw ValidationError("--in-flight must be 1 to 64") }
        guard separator.utf8.count == 1 || separator == "\\t" else { throw ValidationError("--separator must be one character") }
        guard name?.isEmpty != true else { throw ValidationError("--name must not be empty") }
    }

    func run() async throws {
        let settings = try await CommandSettings.read()
        let isFile = file != "-"  // text: an argument of the command line
        guard isFile || name != nil else {
            throw CommandFailure("standard input needs a --name: the ids of events without one are made from it")
        }
        let url = url ?? "http://127.0.0.1:\(settings.server.port)"
        let start = ContinuousClock.now
        let tally = try await FileImport(
            FileImport.Options(
                file: isFile ? file : "standard input", name: name, fileName: URL(fileURLWithPath: file).lastPathComponent, url: url,
                format: inputFormat, mappings: mappings, nulls: nulls, batchSize: batchSize, inFlight: inFlight, restarts: restart),
            source: ImportFiles.source(of: try open()),
            sender: BatchSender(HTTPTransport(url: url, compresses: gzip, waitsForStored: wait)),
            state: (state ?? (isFile ? file + ".import" : nil)).map(ImportFiles.state),
            console: ImportFiles.console(
                totalBytes: isFile ? try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int : nil)
        ).run()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(
            "\(tally.accepted) accepted, \(wait ? "\(tally.duplicates) duplicate" : "duplicates not counted"), \(tally.rejected) rejected, "
                + "in \(String(format: "%.1f", seconds)) s")
        if tally.rejected > 0 { throw ExitCode(1) }
    }

    private func open() throws -> FileHandle {
        if file == "-" { return .standardInput }  // text: an argument of the command line
        guard let handle = FileHandle(forReadingAtPath: file) else { throw CommandFailure("\(file) cannot be read") }
        return handle
    }

    private var inputFormat: ImportFormat {
        guard (format ?? (file.lowercasedASCII().ends(withUTF8: ".csv") ? .csv : .ndjson)) == .csv else { return .lines }
        return .csv(separator: separator == "\\t" ? UInt8(ascii: "\t") : separator.utf8.first ?? UInt8(ascii: ","))
    }
}

/// What an import reads and writes on this machine. Files and pipes block: not on the pool that everything else runs on.
private enum ImportFiles {
    static func source(of handle: FileHandle) -> @Sendable () async throws -> [UInt8] {
        { try await NIOThreadPool.singleton.runIfActive { [UInt8](try handle.read(upToCount: 1 << 18) ?? Data()) } }
    }

    static func state(_ path: String) -> ImportStateFile {
        ImportStateFile(name: path) {
            try await NIOThreadPool.singleton.runIfActive {
                FileManager.default.fileExists(atPath: path) ? try Data(contentsOf: URL(fileURLWithPath: path)) : nil
            }
        } write: { data in
            try await NIOThreadPool.singleton.runIfActive {
                // Always the same name: a process that is killed here leaves one file at the most.
                try data.write(to: URL(fileURLWithPath: path + ".new"))
                guard rename(path + ".new", path) == 0 else { throw CommandFailure(String(cString: strerror(errno))) }
            }
        }
    }

    static func console(totalBytes: Int?) -> ImportConsole {
        let isTerminal = isatty(STDERR_FILENO) == 1
        let batches = Atomic(0)
        return ImportConsole(totalBytes: totalBytes) { line in
            write((isTerminal ? "\r" : "") + line + "\n")
        } progress: { text in
            // A terminal's line is written over; a log gets a line every hundred batches.
            if isTerminal {
                write("\r\(text)   ")
            } else if batches.add(1, ordering: .relaxed).newValue % 100 == 0 {
                write(text + "\n")
            }
        }
    }

    private static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
