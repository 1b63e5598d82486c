internal import AnalyticsCore
internal import AnalyticsImport
internal import ArgumentParser
internal import AsyncHTTPClient
internal import Foundation
internal import NIOPosix
internal import Synchronization

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a file of events to a running service.",
        discussion: """
            Reads NDJSON (one event per line) or CSV (one event per row, see --map), and sends batches to /api/v1/events/batch, several at a time.

            Progress is kept next to the file. Started again with the same file and options, an import continues where it ended, also \
            with lines added since. A file that has changed before that position is not sent; --restart sends all of it again.

            Events without an id get one from the import's name, their line number and their bytes. So each is stored once, no matter how \
            often and in which batches it is sent.

            A mapping is field=template, with {column}, {column:.14} (its first 14 characters), {column:02} (padded with zeros to 2), {#} (the \
            row's number), and text:
              analytics import flights.csv --map type='{carrier}' --map source='{origin}' --map id='flight-{#}' \
            --map timestamp='{time_hour:.14}{minute:02}:00Z'
            All columns are kept in data, numbers as numbers.
            """)

    enum InputFormat: String, ExpressibleByArgument, CaseIterable {
        case ndjson
        case csv
    }

    @Argument(help: "The file, or - for standard input.")
    var file: String

    @Option(help: "The service's address; by default this machine at PORT.")
    var url: String?

    @OptionGroup var access: KeyOption
    @OptionGroup var trust: TrustOption

    @Option(help: "ndjson or csv; by default from the file's name.")
    var format: InputFormat?

    @Option(name: .customLong("map"), help: "CSV: makes a field from columns, field=template; may be repeated.")
    var mappings: [String] = []

    @Option(name: .customLong("null"), help: "CSV: a cell with this text is null; may be repeated. Default: NA and the empty cell.")
    var nulls: [String] = ["", "NA"]

    @Option(help: "CSV: the separator of columns.")
    var separator = ","

    @Option(name: .customLong("batch"), help: "Events per request.")
    var batchSize = 1_000

    @Option(name: .customLong("in-flight"), help: "Concurrent requests.")
    var inFlight = 8

    @Flag(inversion: .prefixedNo, help: "Compress the requests.")
    var gzip = true

    @Flag(inversion: .prefixedNo, help: "Wait until the events are stored. Without it, duplicates count as accepted events.")
    var wait = true

    @Option(help: "The basis of the ids; by default the file's name and a hash of its first line. Required for standard input.")
    var name: String?

    @Option(help: "The file for the progress; by default FILE.import, and none for standard input.")
    var state: String?

    @Flag(help: "Send all of it again.")
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
        let configuration = try trust.configuration(isLocal: url == nil)
        let url = url ?? settings.server.localAddress
        let key = try await access.key()
        let start = ContinuousClock.now
        let tally = try await HTTPClient.withHTTPClient(configuration: configuration) { client in
            try await FileImport(
                FileImport.Options(
                    file: isFile ? file : "standard input", name: name, fileName: URL(fileURLWithPath: file).lastPathComponent, url: url,
                    format: inputFormat, mappings: mappings, nulls: nulls, batchSize: batchSize, inFlight: inFlight, restarts: restart),
                source: ImportFiles.source(of: try open()),
                sender: BatchSender(HTTPTransport(url: url, key: key, compresses: gzip, waitsForStored: wait, client: client)),
                state: (state ?? (isFile ? file + ".import" : nil)).map(ImportFiles.state),
                console: ImportFiles.console(
                    totalBytes: isFile ? try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int : nil)
            ).run()
        }
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

/// The local files of an import. Files and pipes block, so they run on a thread pool of their own.
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
                // Always the same name, so a process that is killed here leaves at most one file.
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
            // A terminal line is overwritten; a log gets one line per hundred batches.
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
