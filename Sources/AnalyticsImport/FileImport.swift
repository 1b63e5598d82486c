internal import Foundation

/// Sends an input's events in batches, several at a time, and records what is sent.
///
/// An event without an id gets one derived from the import's name, its line and its bytes. So an event that is sent again, in another
/// batch or another run, is a duplicate.
public struct FileImport: Sendable {
    public struct Options: Sendable {
        /// The input's name in messages.
        public var file: String
        /// The name that ids are derived from; `nil` derives it from this file name and the first line.
        public var name: String?
        public var fileName: String
        /// The service's address.
        public var url: String
        public var format: ImportFormat
        /// For CSV, see ``ColumnMapping``.
        public var mappings: [String]
        public var nulls: [String]
        /// Events per request, and requests at a time.
        public var batchSize: Int
        public var inFlight: Int
        /// Whether to ignore an earlier state.
        public var restarts: Bool

        public init(
            file: String, name: String? = nil, fileName: String, url: String, format: ImportFormat, mappings: [String] = [],
            nulls: [String] = [], batchSize: Int = 1_000, inFlight: Int = 8, restarts: Bool = false
        ) {
            self.file = file
            self.name = name
            self.fileName = fileName
            self.url = url
            self.format = format
            self.mappings = mappings
            self.nulls = nulls
            self.batchSize = batchSize
            self.inFlight = inFlight
            self.restarts = restarts
        }
    }

    /// Bytes of a request before compression. A service accepts 20 MiB by default.
    static let batchBytes = 4 * 1024 * 1024
    /// Number of refused events that are reported one by one.
    static let refusalsTold = 20

    private let options: Options
    private let source: @Sendable () async throws -> [UInt8]
    private let sender: BatchSender
    private let state: ImportStateFile?
    private let console: ImportConsole

    /// `source` returns the input's next bytes, empty at the end. Without a `state` no progress is stored.
    public init(
        _ options: Options, source: @escaping @Sendable () async throws -> [UInt8], sender: BatchSender, state: ImportStateFile?,
        console: ImportConsole
    ) {
        self.options = options
        self.source = source
        self.sender = sender
        self.state = state
        self.console = console
    }

    /// Returns the counts of this run. Throws an ``ImportFailure`` and sends nothing if the input differs from what an earlier run has
    /// sent. Also throws if the service does not accept a batch.
    public func run() async throws -> ImportTally {
        let earlier = try await earlierState()
        var reader = RecordReader(options.format, source: source)
        try await reader.begin()
        if let earlier { try await reader.skip(to: earlier, of: options.file) }
        guard let firstLine = reader.firstDigest else { return ImportTally() }
        let identity = ImportIdentity(
            name: options.name ?? "\(options.fileName) \(firstLine.prefix(32))", url: address, options: reading, firstLine: firstLine)
        if let earlier, let state {
            try earlier.identity.require(\.name, "named", of: identity.name, in: state.name)
            console.line("Continuing after line \(earlier.line): \(earlier.events) events were sent before")
        }
        let tally = try await send(&reader, try encoder(identity, reader.header), identity)
        if earlier != nil, tally == ImportTally() { console.line("Nothing was added since then; --restart sends it all again") }
        return tally
    }
}

extension FileImport {
    /// The state of an earlier import to the same service; another service gets all events. Throws if the input was read with other
    /// options.
    private func earlierState() async throws -> ImportState? {
        guard let state, !options.restarts, let data = try await state.read(), let earlier = try ImportState.decode(data, from: state.name)
        else { return nil }
        guard earlier.identity.url == address else {
            console.line("\(state.name) is the state of an import to \(earlier.identity.url): everything is sent to \(address)")
            return nil
        }
        try earlier.identity.require(\.options, "with", of: reading, in: state.name)
        return earlier
    }

    private var address: String {
        guard var components = URLComponents(string: options.url) else { return options.url }
        components.user = nil
        components.password = nil
        return components.string ?? options.url
    }

    private var reading: String {
        guard case .csv(let separator) = options.format else { return "NDJSON" }
        let parts = options.mappings.map { "--map \($0)" } + options.nulls.map { "--null \($0)" }
        return (["CSV separated by '\(Unicode.Scalar(separator))'"] + parts).joined(separator: " ")
    }

    private func encoder(_ identity: ImportIdentity, _ header: [UInt8]?) throws(ImportFailure) -> EventEncoder {
        guard case .csv(let separator) = options.format else { return EventEncoder(name: identity.name, mapping: nil, separator: 0) }
        let columns = CSVState.cells(of: header ?? [], separator: separator)
        return EventEncoder(
            name: identity.name, mapping: try ColumnMapping(columns: columns, assignments: options.mappings, nulls: Set(options.nulls)),
            separator: separator)
    }

    private struct Sent: Sendable {
        var number: Int
        var outcome: BatchSender.Outcome
        /// Line numbers of the events, for refusals.
        var lines: [Int]
    }

    private func send(_ reader: inout RecordReader, _ encoder: EventEncoder, _ identity: ImportIdentity) async throws -> ImportTally {
        var ledger = ImportLedger(at: reader.position)
        var report = ImportReport(console: console, from: reader.position)
        // Before the first batch, to check that the state can be written.
        try await save(ledger.settled, identity)
        try await withThrowingTaskGroup(of: Sent.self) { group in
            var underWay = 0
            func settleNext() async throws {
                guard let sent = try await group.next() else { return }
                underWay -= 1
                ledger.settle(sent.number)
                try await save(ledger.settled, identity)
                report.add(sent.outcome, lines: sent.lines, at: ledger.settled)
            }
            while let batch = try await reader.batch(options.batchSize, bytes: Self.batchBytes) {
                if underWay == options.inFlight { try await settleNext() }
                let number = ledger.begin(batch)
                group.addTask { [sender] in
                    let outcome = try await sender.send(encoder.texts(of: batch.events))
                    return Sent(number: number, outcome: outcome, lines: batch.events.map(\.line))
                }
                underWay += 1
            }
            while underWay > 0 { try await settleNext() }
        }
        return report.finish(unclosedLine: reader.unclosedLine)
    }

    private func save(_ position: Position, _ identity: ImportIdentity) async throws {
        guard let state else { return }
        do {
            try await state.write(try ImportState(identity, at: position).encoded())
        } catch {
            throw ImportFailure("\(state.name) cannot be written, give another file with --state: \(error)")
        }
    }
}
