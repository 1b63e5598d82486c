internal import AnalyticsCore
internal import Foundation
internal import GzipCodec

/// Exports all selected events into a file, over several requests and runs if necessary. Each event is in the file once.
public struct FileExport: Sendable {
    public struct Options: Sendable {
        /// The service's address.
        public var url: String
        /// The filters, with the route's parameter names.
        public var filters: [(name: String, value: String)]
        public var format: ExportFormat
        /// Whether the file is gzip. Each written piece is a gzip member, so that the file can be truncated between two.
        public var compresses: Bool
        /// Whether to ignore an earlier state.
        public var restarts: Bool

        public init(
            url: String, filters: [(name: String, value: String)] = [], format: ExportFormat, compresses: Bool = false,
            restarts: Bool = false
        ) {
            self.url = url
            self.filters = filters
            self.format = format
            self.compresses = compresses
            self.restarts = restarts
        }
    }

    public struct Tally: Sendable, Equatable {
        /// Events in the file.
        public var events = 0
        /// Events of earlier runs.
        public var before = 0
        /// Time of the last request. Everything stored before the first request is in the file.
        public var asOf = ""
    }

    private let options: Options
    private let transport: any ExportTransport
    private let file: any ExportFile
    private let line: @Sendable (String) -> Void
    private let pieceBytes: Int
    private let attempts: Int
    private let pause: @Sendable (Duration) async throws -> Void

    /// - Parameters:
    ///   - line: Reports progress as a line of text.
    ///   - pieceBytes: Bytes of text per write.
    ///   - attempts: Attempts without progress before the export ends; `pause` waits between two.
    public init(
        _ options: Options, transport: any ExportTransport, file: any ExportFile, line: @escaping @Sendable (String) -> Void,
        pieceBytes: Int = 4 << 20, attempts: Int = 12,
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.options = options
        self.transport = transport
        self.file = file
        self.line = line
        self.pieceBytes = pieceBytes
        self.attempts = attempts
        self.pause = pause
    }

    /// Throws an ``ExportFailure`` if the service refuses, or sends nothing for too long. Written events stay, and the next run continues
    /// after them.
    public func run() async throws -> Tally {
        var state = try await earlier()
        var tally = Tally(before: state.events)
        try await file.begin(keeping: state.bytes)
        // Before the first request, to check that the state can be written.
        try await file.append([], state: try state.encoded())
        var backoff = Backoff(first: .milliseconds(200))
        while true {
            let (ending, isFurther) = try await receive(&state)
            if case .whole(let asOf) = ending {
                try await file.finish()
                tally.events = state.events
                tally.asOf = asOf
                return tally
            }
            guard case .cut(let reason) = ending else { continue }
            if isFurther { backoff.reset() }
            let delay = backoff.next()
            guard backoff.failures < attempts else { throw ExportFailure("the service does not continue: \(reason)") }
            line("Interrupted after \(state.events) events, continuing (\(reason))")
            try await pause(delay)
        }
    }

    private enum Ending {
        case whole(asOf: String)
        case cut(String)
    }

    private func earlier() async throws -> ExportState {
        let filters = options.filters.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        let state = ExportState(
            request: [address, filters, options.format.rawValue, options.compresses ? "gzip" : ""].filter { !$0.isEmpty }
                .joined(separator: " "))
        guard !options.restarts, let data = try await file.state() else { return state }
        let earlier = try ExportState.decode(data, from: file.stateName, of: state.request)
        if earlier.events > 0 { line("Continuing after \(earlier.events) events of earlier runs") }
        return earlier
    }

    private var address: String {
        guard var components = URLComponents(string: options.url) else { return options.url }
        components.user = nil
        components.password = nil
        return components.string ?? options.url
    }

    /// Makes one request for the rest, and writes its response in whole lines. Returns whether there was any progress.
    private func receive(_ state: inout ExportState) async throws -> (Ending, isFurther: Bool) {
        var receiver = Receiver(state, options)
        let parameters = options.filters + [("format", options.format.rawValue)] + state.place.parameters
        let begun = state
        var reason = "the response ends too soon"
        do {
            try await transport.get(parameters) { bytes in
                try receiver.receive(bytes)
                if receiver.text.count >= pieceBytes { try await write(&receiver) }
            }
        } catch let failure as ExportFailure {
            throw failure
        } catch let failure as WriteFailure {
            throw ExportFailure("the file cannot be written: \(failure.cause)")
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            reason = "\(error)"
        }
        do { try await write(&receiver) } catch let failure as WriteFailure {
            throw ExportFailure("the file cannot be written: \(failure.cause)")
        }
        state = receiver.state
        return (receiver.ending ?? .cut(reason), state != begun)
    }

    private struct WriteFailure: Error {
        var cause: any Error
    }

    private func write(_ receiver: inout Receiver) async throws {
        guard let text = try receiver.take() else { return }
        do {
            try await file.append(text, state: try receiver.state.encoded())
        } catch {
            throw WriteFailure(cause: error)
        }
    }

    /// Receives one response. Pure.
    private struct Receiver {
        private let options: Options
        private var records: ExportRecords
        private(set) var state: ExportState
        private(set) var text: [UInt8] = []
        private(set) var ending: Ending?
        private var last: [UInt8]?
        private var cursor: String?
        /// Events of this response.
        private var events = 0
        private var written: Int

        init(_ state: ExportState, _ options: Options) {
            self.state = state
            self.options = options
            written = state.events
            // Until the first event is written, each response begins with the header.
            records = ExportRecords(options.format, isResumed: state.place != .beginning)
        }

        mutating func receive(_ bytes: [UInt8]) throws {
            guard ending == nil else { throw ExportFailure("the service sends data after the end of an export") }
            var new: [ExportRecords.Record] = []
            try records.cut(bytes) { new.append($0) }
            for record in new { try receive(record) }
        }

        private mutating func receive(_ record: ExportRecords.Record) throws {
            guard ending == nil else { throw ExportFailure("the service sends data after the end of an export") }
            switch record {
            case .header(let line):
                // The part file has the header already if an earlier response ended before its first event.
                if state.bytes == 0 { text += line }
            case .event(let line):
                text += line
                last = line
                cursor = nil
                events += 1
            case .progress(let cursor): self.cursor = cursor
            case .end(let count, let asOf):
                guard count == events else {
                    throw ExportFailure("the service has sent \(count) events, and \(events) came: start again with --restart")
                }
                ending = .whole(asOf: asOf)
            case .error(let reason): ending = .cut(reason)
            }
        }

        /// The bytes to write now. Updates ``state`` to the state after the write.
        mutating func take() throws -> [UInt8]? {
            guard !text.isEmpty || cursor != nil else { return nil }
            let piece = options.compresses && !text.isEmpty ? try Gzip.compress(text) : text
            if let last { state.place = try ExportRecords.place(behind: last, options.format) }
            if let cursor { state.place = .cursor(cursor) }
            state.bytes += piece.count
            state.events = written + events
            text.removeAll(keepingCapacity: true)
            (last, cursor) = (nil, nil)
            return piece
        }
    }
}
