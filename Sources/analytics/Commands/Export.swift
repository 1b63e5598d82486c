internal import AnalyticsCore
internal import AnalyticsImport
internal import ArgumentParser
internal import AsyncHTTPClient
internal import Foundation
internal import NIOPosix

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write events of a running service to a file.",
        usage:
            "analytics export <file> [<name>=<value> ...] [--format ndjson|csv] [--gzip] [--url <url>] [--key <key>] [--ca <ca>] [--restart]",
        discussion: """
            Filters are those of GET /api/v1/events: type, source, userId, anonymousId, correlationId, data.<path>, from and to. The newest events come \
            first. Until the export is complete, the file is named FILE.part, and FILE.export has its position. If the connection, the service or this \
            command is interrupted, the export continues after the last complete line: for some time by itself, later when it is started again with \
            the same arguments. Each event is in the file once, and a file with its final name is complete.

              analytics export march.ndjson.gz from=2026-03-01T00:00:00Z to=2026-04-01T00:00:00Z
              analytics export orders.csv type=order data.plan=pro
            """)

    @Argument(help: "The file.")
    var file: String

    @Argument(help: "Filters, as NAME=VALUE. A name may be repeated.")
    var filters: [String] = []

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson
        case csv
    }

    @Option(help: "ndjson or csv; by default from the file's name.")
    var format: Format?

    @Flag(help: "Compress the file; by default if its name ends with .gz.")
    var gzip = false

    @Option(help: "The service's address; by default this machine at PORT.")
    var url: String?

    @OptionGroup var access: KeyOption
    @OptionGroup var trust: TrustOption

    @Flag(help: "Discard earlier progress and start from the beginning.")
    var restart = false

    func validate() throws {
        for filter in filters where !filter.containsUTF8("=") {
            throw ValidationError("'\(filter)' is not a filter: write NAME=VALUE, such as type=order")
        }
    }

    func run() async throws {
        let settings = try await CommandSettings.read()
        let output = ExportOutput(path: file)
        guard restart || !FileManager.default.fileExists(atPath: file) else {
            throw CommandFailure("\(file) exists already and is complete: --restart overwrites it")
        }
        let pairs = filters.compactMap { $0.cutUTF8(atFirst: "=") }.map { (name: String($0.before), value: String($0.after)) }
        let address = url ?? settings.server.localAddress
        let configuration = try trust.configuration(HTTPClient.Configuration(), isLocal: url == nil)
        let start = ContinuousClock.now
        let tally = try await FileExport(
            FileExport.Options(
                url: address, filters: pairs, format: exportFormat, compresses: gzip || name.ends(withUTF8: ".gz"), restarts: restart),
            transport: HTTPExportTransport(url: address, key: try await access.key(), configuration: configuration),
            file: output,
            line: { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        ).run()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(
            "\(tally.events) events in \(file)" + (tally.before > 0 ? ", \(tally.before) of them from earlier runs" : "")
                + ", in \(String(format: "%.1f", seconds)) s")
    }

    private var name: String { file.lowercasedASCII() }

    private var exportFormat: ExportFormat {
        let isCSV = format.map { $0 == .csv } ?? (name.ends(withUTF8: ".csv") || name.ends(withUTF8: ".csv.gz"))
        return isCSV ? .csv : .ndjson
    }
}

/// The file of an export, and its state. File access blocks, so it runs on a thread pool of its own.
private struct ExportOutput: ExportFile {
    let path: String

    var stateName: String { path + ".export" }
    private var part: String { path + ".part" }

    func state() async throws -> Data? {
        try await NIOThreadPool.singleton.runIfActive {
            FileManager.default.fileExists(atPath: stateName) ? try Data(contentsOf: URL(fileURLWithPath: stateName)) : nil
        }
    }

    func begin(keeping bytes: Int) async throws {
        try await NIOThreadPool.singleton.runIfActive {
            let length = (try? FileManager.default.attributesOfItem(atPath: part)[.size] as? Int) ?? 0
            guard length >= bytes else {
                throw CommandFailure("\(part) is shorter than \(stateName) says: --restart begins anew")
            }
            if !FileManager.default.fileExists(atPath: part) { try Data().write(to: URL(fileURLWithPath: part)) }
            // The lock is held until the process ends.
            let lock = open(part, O_RDWR | O_CLOEXEC)
            guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw CommandFailure("another export writes \(part)") }
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: part))
            defer { try? handle.close() }
            try handle.truncate(atOffset: UInt64(bytes))
        }
    }

    func append(_ bytes: [UInt8], state: Data) async throws {
        try await NIOThreadPool.singleton.runIfActive {
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: part))
            defer { try? handle.close() }
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(bytes))
            try handle.synchronize()
            // Always the same name, so a process that is killed here leaves at most one file.
            try state.write(to: URL(fileURLWithPath: stateName + ".new"))
            guard rename(stateName + ".new", stateName) == 0 else { throw CommandFailure(String(cString: strerror(errno))) }
        }
    }

    func finish() async throws {
        try await NIOThreadPool.singleton.runIfActive {
            guard rename(part, path) == 0 else { throw CommandFailure(String(cString: strerror(errno))) }
            try FileManager.default.removeItem(atPath: stateName)
        }
    }
}
