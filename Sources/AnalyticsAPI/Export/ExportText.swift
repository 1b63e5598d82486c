internal import AnalyticsCore
internal import AnalyticsJSON

/// The text of an export, line by line. Pure.
///
/// One line per event. Other lines are marked by their only member, or in CSV by a `#` in the first cell: progress after a long time
/// without an event, and at the end that the export is complete, or why it is not.
struct ExportText {
    private let format: ExportFormat
    private(set) var bytes: [UInt8] = []

    init(_ format: ExportFormat) {
        self.format = format
    }

    /// Returns and removes the text so far.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// Writes the header row, if the format has one.
    mutating func begin() {
        if format == .csv { row(Self.columns) }
    }

    mutating func add(_ stored: StoredEvent) {
        switch format {
        case .ndjson: line { $0.event(stored) }
        case .csv: row(Self.cells(stored))
        }
    }

    mutating func progress(_ cursor: EventCursor) {
        switch format {
        case .ndjson: line("progress") { $0.member("cursor", cursor.text) }
        case .csv: mark("#progress", cursor.text)
        }
    }

    /// - Parameter events: Events in this response.
    mutating func end(events: Int, asOf: Timestamp) {
        switch format {
        case .ndjson:
            line("end") { writer in
                writer.member("events", Int64(events))
                writer.member("asOf", asOf.rfc3339)
            }
        case .csv: mark("#end", String(events), asOf.rfc3339)
        }
    }

    mutating func fail(_ problem: Problem, events: Int, at cursor: EventCursor?) {
        switch format {
        case .ndjson:
            line("error") { writer in
                writer.member("code", problem.code)
                writer.member("detail", problem.detail)
                writer.member("events", Int64(events))
                writer.member("cursor", cursor?.text)
            }
        case .csv: mark("#error", problem.code, problem.detail, String(events), cursor?.text ?? "")
        }
    }

    // MARK: NDJSON

    private mutating func line(_ write: (inout JSONWriter) -> Void) {
        var writer = JSONWriter(reservingCapacity: 512)
        write(&writer)
        bytes.append(contentsOf: writer.bytes)
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func line(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        line { writer in
            writer.beginObject()
            writer.key(name)
            writer.beginObject()
            members(&writer)
            writer.endObject()
            writer.endObject()
        }
    }

    // MARK: CSV

    static let columns = [
        "project", "id", "type", "source", "timestamp", "originalTimestamp", "userId", "anonymousId", "visitorId", "sessionId",
        "correlationId", "receivedAt", "processedAt", "data", "metadata", "context",
    ]

    private static func cells(_ stored: StoredEvent) -> [String?] {
        let event = stored.event
        let original = event.clientTimestamp.flatMap { $0 == event.timestamp ? nil : $0.rfc3339 }
        return [
            event.project.name, event.id, event.type, event.source, event.timestamp.rfc3339, original, event.userId, event.anonymousId,
            event.visitorId, event.sessionId, event.correlationId, event.receivedAt.rfc3339, stored.processedAt.rfc3339, event.data?.text,
            event.metadata?.text, stored.context?.text,
        ]
    }

    /// A row that is not an event. It has all columns, because readers refuse rows of different lengths.
    private mutating func mark(_ cells: String...) {
        row(cells + Array(repeating: "", count: Self.columns.count - cells.count))
    }

    /// RFC 4180, with CRLF.
    private mutating func row(_ cells: [String?]) {
        for (index, cell) in cells.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            if let cell { self.cell(cell) }
        }
        bytes.append(contentsOf: [0x0D, 0x0A])
    }

    private mutating func cell(_ text: String) {
        let guarded = text.utf8.first.map(Self.formulas.contains) ?? false
        guard guarded || text.utf8.contains(where: { Self.special.contains($0) }) else {
            bytes.append(contentsOf: text.utf8)
            return
        }
        bytes.append(UInt8(ascii: "\""))
        if guarded { bytes.append(UInt8(ascii: "'")) }
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static let special: [UInt8] = Array(",\"\r\n".utf8)
    /// A spreadsheet reads a cell that begins with one of these as a formula (OWASP, "CSV Injection"), unless it has an apostrophe in
    /// front. Cells that begin with an apostrophe get one more, so the first apostrophe is always added by the export.
    private static let formulas: [UInt8] = Array("=+-@\t\r'".utf8)
}
