internal import AnalyticsCore
internal import AnalyticsJSON
internal import Foundation

/// The format of an export.
public enum ExportFormat: String, Sendable, CaseIterable {
    case ndjson
    case csv
}

/// Splits the text of an export into lines as its bytes arrive, and classifies each line. A state machine without I/O.
struct ExportRecords {
    enum Record: Equatable {
        /// With its line break.
        case event([UInt8])
        /// The names of the columns.
        case header([UInt8])
        case progress(cursor: String)
        case end(events: Int, asOf: String)
        case error(String)
    }

    private let format: ExportFormat
    private var hasHeader: Bool
    private var csv = CSVState.fieldStart
    private var begun: [UInt8] = []

    /// - Parameter isResumed: Whether this continues an export; the rest has no header.
    init(_ format: ExportFormat, isResumed: Bool) {
        self.format = format
        hasHeader = format == .csv && !isResumed
    }

    /// Calls `receive` for each line that these bytes complete. An incomplete line is not passed on.
    mutating func cut(_ chunk: [UInt8], _ receive: (Record) throws -> Void) throws {
        var start = 0
        for index in chunk.indices {
            let ends =
                format == .ndjson
                ? chunk[index] == UInt8(ascii: "\n") : csv.step(chunk[index], separator: UInt8(ascii: ",")) == .endOfRecord
            guard ends else { continue }
            begun.append(contentsOf: chunk[start...index])
            start = index + 1
            try receive(try record(begun))
            begun.removeAll(keepingCapacity: true)
        }
        begun.append(contentsOf: chunk[start...])
        guard begun.count <= RecordCutter.maximumBytes else {
            throw ExportFailure("the service sends a line of more than \(RecordCutter.maximumBytes >> 20) MiB, which is not an event")
        }
    }

    private mutating func record(_ line: [UInt8]) throws -> Record {
        if hasHeader {
            hasHeader = false
            return .header(line)
        }
        switch format {
        case .csv where line.first == UInt8(ascii: "#"): return try mark(CSVState.cells(of: line, separator: UInt8(ascii: ",")))
        case .ndjson where Self.marks.contains(where: line.starts(with:)): return try mark(line)
        default: return .event(line)
        }
    }

    private func mark(_ cells: [String]) throws -> Record {
        switch cells.first {
        case "#progress": return .progress(cursor: cells[1])
        case "#end": if let events = Int(cells[1]) { return .end(events: events, asOf: cells[2]) }
        case "#error": return .error("\(cells[1]): \(cells[2])")
        default: break
        }
        throw ExportFailure("the service sends a row that this version does not know: \(cells.joined(separator: ",").clipped)")
    }

    private static let marks = ["progress", "end", "error"].map { Array("{\"\($0)\":".utf8) }

    /// A line that is not an event.
    private struct Mark: Decodable {
        struct Progress: Decodable {
            var cursor: String
        }
        struct End: Decodable {
            var events: Int
            var asOf: String
        }
        struct Failure: Decodable {
            var code: String
            var detail: String
        }
        var progress: Progress?
        var end: End?
        var error: Failure?
    }

    private func mark(_ line: [UInt8]) throws -> Record {
        let mark = try? JSONDecoder().decode(Mark.self, from: Data(line))
        if let progress = mark?.progress { return .progress(cursor: progress.cursor) }
        if let end = mark?.end { return .end(events: end.events, asOf: end.asOf) }
        if let error = mark?.error { return .error("\(error.code): \(error.detail)") }
        throw ExportFailure("the service sends a line that this version does not know: \(String(decoding: line, as: UTF8.self).clipped)")
    }

    /// The place from which an export continues after this event.
    static func place(behind event: [UInt8], _ format: ExportFormat) throws(ExportFailure) -> ExportPlace {
        switch format {
        case .ndjson:
            // Not Foundation's decoder: it drops some characters at the start of an id, such as U+FEFF.
            var parser = JSONParser()
            let text = PaddedBytes(event)
            let place = try? parser.withMembers(of: text, at: text.all, maximumDepth: 64) { members -> ExportPlace? in
                guard let id = members.with("id", { $0.string }), let time = members.with("timestamp", { $0.string }) else { return nil }
                return .event(timestamp: time, id: id)
            }
            if let place { return place }
        case .csv:
            let cells = CSVState.cells(of: event, separator: UInt8(ascii: ","))
            if cells.count > 4 {
                // The service puts an apostrophe before a cell that a spreadsheet could take for a formula.
                return .event(timestamp: cells[4], id: cells[1].starts(withUTF8: "'") ? cells[1].trimmingUTF8(first: 1) : cells[1])
            }
        }
        throw ExportFailure("the service sends a line that is not an event: \(String(decoding: event, as: UTF8.self).clipped)")
    }
}
