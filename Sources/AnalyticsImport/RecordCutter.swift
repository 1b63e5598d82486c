/// The format of the input.
public enum ImportFormat: Sendable, Equatable {
    /// One JSON event per line.
    case lines
    /// One event per row, after a row with the column names.
    case csv(separator: UInt8)
}

/// A line of NDJSON or a row of CSV, with the bytes since the previous record. The records' bytes together are the input.
struct Record: Equatable {
    var raw: [UInt8]
    /// The record within `raw`, without byte order mark and line break. Empty if the record is only white space.
    var content: Range<Int>
    /// The first line of the record in the input, from 1.
    var line: Int

    var isBlank: Bool { content.isEmpty }
    var bytes: [UInt8] { Array(raw[content]) }
}

/// Splits an input into records as its bytes arrive. A state machine without I/O.
struct RecordCutter {
    /// A longer record ends the import: services accept events of less than half this size.
    static let maximumBytes = 16 * 1024 * 1024

    private let format: ImportFormat
    private var csv = CSVState.fieldStart
    private var begun: [UInt8] = []
    private var line = 1
    private var isAtStart = true

    init(_ format: ImportFormat) {
        self.format = format
    }

    /// Calls `emit` for each record that these bytes complete.
    mutating func cut(_ chunk: [UInt8], _ emit: (Record) -> Void) throws(ImportFailure) {
        var start = 0
        while let end = endOfRecord(in: chunk, from: start) {
            begun.append(contentsOf: chunk[start..<end])
            try checkSize()
            emit(take())
            start = end
        }
        begun.append(contentsOf: chunk[start...])
        try checkSize()
    }

    /// The last record, if the input does not end with a line break.
    mutating func finish() -> Record? {
        guard !begun.isEmpty, unclosedLine == nil else { return nil }
        let record = take()
        return record.isBlank ? nil : record
    }

    /// The first line of a row that ends inside quotes, as far as it has been read: its rest may not be written yet.
    var unclosedLine: Int? { csv == .quoted ? line : nil }

    /// The index after the line break.
    private mutating func endOfRecord(in chunk: [UInt8], from start: Int) -> Int? {
        switch format {
        case .lines: return chunk[start...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
        case .csv(let separator):
            for index in start..<chunk.count where csv.step(chunk[index], separator: separator) == .endOfRecord { return index + 1 }
            return nil
        }
    }

    private mutating func take() -> Record {
        var content = begun[...]
        if isAtStart, content.starts(with: [0xEF, 0xBB, 0xBF]) { content = content.dropFirst(3) }
        if content.last == UInt8(ascii: "\n") { content = content.dropLast() }
        if content.last == UInt8(ascii: "\r") { content = content.dropLast() }
        // The service skips such lines in NDJSON; in CSV a row of spaces has a cell.
        let blank: [UInt8] = format == .lines ? [0x20, 0x09, 0x0D] : [0x0D]
        if content.allSatisfy(blank.contains) { content = content.prefix(0) }
        let record = Record(raw: begun, content: content.startIndex..<content.endIndex, line: line)
        line += begun.count { $0 == UInt8(ascii: "\n") }
        begun = []
        isAtStart = false
        return record
    }

    private func checkSize() throws(ImportFailure) {
        guard begun.count <= Self.maximumBytes else {
            throw ImportFailure("line \(line) has more than \(Self.maximumBytes >> 20) MiB: no service accepts such an event")
        }
    }
}
