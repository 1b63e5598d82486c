internal import AnalyticsCore
internal import Crypto

/// How far an input has been read, up to the end of a record.
struct Position: Sendable {
    /// Bytes.
    var offset = 0
    /// Events, without the row of column names.
    var events = 0
    /// The first line of the last record.
    var line = 0
    private var hash = SHA256()

    /// SHA-256 of all bytes before `offset`, as hexadecimal digits.
    var digest: String { hash.finalize().hexadecimal }

    mutating func advance(over bytes: ArraySlice<UInt8>) {
        offset += bytes.count
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    }
}

extension Sequence<UInt8> {
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// An event that is read and not sent yet.
struct InputEvent: Sendable, Equatable {
    /// The bytes as in the input.
    var bytes: [UInt8]
    /// The first line of the event in the input, from 1.
    var line: Int
    /// The event's number in the input, from 1.
    var number: Int
}

struct Batch: Sendable {
    var events: [InputEvent] = []
    /// The position after the last event.
    var end: Position
}

/// Reads an input record by record, and tracks position and digest.
struct RecordReader {
    private let format: ImportFormat
    private let source: @Sendable () async throws -> [UInt8]
    private var cutter: RecordCutter
    private var records: [Record] = []
    private var next = 0
    private var isAtEnd = false
    private(set) var position = Position()
    /// The row of column names, after ``begin()``.
    private(set) var header: [UInt8]?
    /// SHA-256 of the first line, after ``begin()``; `nil` if the input has none.
    private(set) var firstDigest: String?

    /// `source` returns the next bytes, empty at the end.
    init(_ format: ImportFormat, source: @escaping @Sendable () async throws -> [UInt8]) {
        self.format = format
        self.source = source
        cutter = RecordCutter(format)
    }

    /// The first line of an unfinished row at the end of the input.
    var unclosedLine: Int? { isAtEnd ? cutter.unclosedLine : nil }

    /// Reads the first line, and consumes it if it has the column names.
    mutating func begin() async throws {
        while let record = try await peek() {
            guard record.isBlank else {
                var hash = SHA256()
                record.bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
                firstDigest = hash.finalize().hexadecimal
                if format != .lines {
                    header = record.bytes
                    consume(record, isEvent: false)
                }
                return
            }
            consume(record)
        }
    }

    /// Skips what an import with this state has sent. Throws an ``ImportFailure`` if the input differs from it.
    mutating func skip(to state: ImportState, of file: String) async throws {
        let changed = ImportFailure(
            firstDigest == state.identity.firstLine
                ? "\(file) has changed: its first \(state.offset) bytes are not those that were sent. \(ImportState.restartHelp)"
                : "\(file) is not the file that was sent: its first line differs. \(ImportState.restartHelp)")
        while position.offset < state.offset {
            guard let record = try await peek() else { throw changed }
            let left = state.offset - position.offset
            guard record.raw.count <= left else {
                try checkExtension(of: record, after: left, state, changed)
                consume(record)
                return
            }
            consume(record)
        }
        guard position.digest == state.digest else { throw changed }
    }

    /// The file ended within this record when it was sent. Only a line break may have been added since.
    private func checkExtension(of record: Record, after count: Int, _ state: ImportState, _ changed: ImportFailure) throws {
        var sent = position
        sent.advance(over: record.raw[..<count])
        guard sent.digest == state.digest else { throw changed }
        guard record.raw[count...].allSatisfy({ $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) else {
            throw ImportFailure(
                "line \(record.line) was sent when the file ended within it, and is longer now. \(ImportState.restartHelp)")
        }
    }

    /// At most `count` events with at most `bytes` bytes together, but at least one; `nil` at the end.
    mutating func batch(_ count: Int, bytes: Int) async throws -> Batch? {
        var batch = Batch(end: position)
        var room = bytes
        while batch.events.count < count, let record = try await peek() {
            guard record.isBlank || batch.events.isEmpty || record.content.count <= room else { break }
            consume(record)
            guard !record.isBlank else { continue }
            room -= record.content.count
            batch.events.append(InputEvent(bytes: record.bytes, line: record.line, number: position.events))
        }
        batch.end = position
        return batch.events.isEmpty ? nil : batch
    }

    private mutating func peek() async throws -> Record? {
        while next == records.count {
            guard !isAtEnd else { return nil }
            records.removeAll(keepingCapacity: true)
            next = 0
            let chunk = try await source()
            isAtEnd = chunk.isEmpty
            try cutter.cut(chunk) { records.append($0) }
            if isAtEnd, let last = cutter.finish() { records.append(last) }
        }
        return records[next]
    }

    private mutating func consume(_ record: Record, isEvent: Bool = true) {
        next += 1
        position.advance(over: record.raw[...])
        guard !record.isBlank else { return }
        position.line = record.line
        if isEvent { position.events += 1 }
    }
}
