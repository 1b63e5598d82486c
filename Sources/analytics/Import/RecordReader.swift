internal import AnalyticsCore
internal import Foundation
internal import NIOPosix

/// Reads a file, or standard input, as events: lines of NDJSON as they are, rows of CSV through a mapping.
struct RecordReader {
    enum Format {
        case lines
        case csv(assignments: [String], nulls: Set<String>, separator: UInt8)
    }

    private let handle: FileHandle
    private let format: Format
    private var csv: CSVReader
    private var mapping: ColumnMapping?
    private var line: [UInt8] = []
    private var records: [[UInt8]] = []
    private var row = 0
    private(set) var bytesRead = 0
    private var isAtEnd = false

    init(_ handle: FileHandle, format: Format) {
        self.handle = handle
        self.format = format
        if case .csv(_, _, let separator) = format { csv = CSVReader(separator: separator) } else { csv = CSVReader() }
    }

    /// The next `count` events, fewer only at the end.
    mutating func next(_ count: Int) async throws -> [[UInt8]] {
        while records.count < count, !isAtEnd {
            // A read may wait (a pipe): not on the pool that everything else runs on.
            let chunk = try await NIOThreadPool.singleton.runIfActive { [handle] in try handle.read(upToCount: 1 << 18) ?? Data() }
            bytesRead += chunk.count
            isAtEnd = chunk.isEmpty
            try read(chunk)
        }
        defer { records.removeFirst(min(count, records.count)) }
        return Array(records.prefix(count))
    }

    private mutating func read(_ chunk: Data) throws {
        switch format {
        case .lines:
            for byte in chunk {
                if byte == UInt8(ascii: "\n") { endLine() } else { line.append(byte) }
            }
            if isAtEnd { endLine() }
        case .csv(let assignments, let nulls, _):
            var rows: [[String]] = []
            csv.read(chunk) { rows.append($0) }
            if isAtEnd { csv.finish { rows.append($0) } }
            for cells in rows { try add(cells, assignments, nulls) }
        }
    }

    private mutating func endLine() {
        if !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { records.append(line) }
        line.removeAll(keepingCapacity: true)
    }

    private mutating func add(_ cells: [String], _ assignments: [String], _ nulls: Set<String>) throws {
        guard let mapping else {
            mapping = try ColumnMapping(columns: cells, assignments: assignments, nulls: nulls)
            return
        }
        row += 1
        records.append(mapping.event(cells, row: row))
    }
}
