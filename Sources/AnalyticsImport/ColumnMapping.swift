internal import AnalyticsCore
internal import AnalyticsJSON

/// Turns a row of a table into an event: a template per field of the event, and all columns as `data`.
struct ColumnMapping {
    /// The event's fields that a mapping may set.
    static let fields = ["id", "type", "source", "timestamp", "correlationId", "userId", "anonymousId", "sessionId"]

    private var templates: [(field: String, template: Template)] = []
    private let columns: [String]
    private let nulls: Set<String>

    /// `assignments` are `field=template`. Throws an ``ImportFailure`` that names the invalid part.
    init(columns: [String], assignments: [String], nulls: Set<String>) throws(ImportFailure) {
        self.columns = columns
        self.nulls = nulls
        for assignment in assignments {
            guard let (name, template) = assignment.cutUTF8(atFirst: "="), Self.fields.contains(where: name.equalsUTF8) else {
                throw ImportFailure(
                    "--map \(assignment): expected field=template, the field being one of \(Self.fields.joined(separator: ", "))")
            }
            templates.append((String(name), try Template(String(template), columns: columns)))
        }
        for required in ["type", "source"] where !templates.contains(where: { $0.field == required }) {
            throw ImportFailure(
                "CSV needs --map \(required)=…, for example --map \(required)='{\(columns.first ?? "column")}' or a fixed text")
        }
    }

    /// The event of a row, as JSON. `row` counts from 1 without the header; `id` creates the event's id if the mapping gives none.
    func event(_ cells: [String], row: Int, id: () -> String) -> [UInt8] {
        var writer = JSONWriter(reservingCapacity: 512)
        writer.beginObject()
        var hasID = false
        for (field, template) in templates {
            let value = template.text(cells, row: row)
            guard !value.isEmpty else { continue }
            hasID = hasID || field == "id"
            writer.key(field)
            if field == "timestamp", let milliseconds = Int64(value) { writer.integer(milliseconds) } else { writer.string(value) }
        }
        if !hasID { writer.member("id", id()) }
        writer.key("data")
        writer.beginObject()
        for (column, cell) in zip(columns, cells) {
            writer.key(column)
            write(cell, to: &writer)
        }
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    /// Writes a number if JSON would write it the same way, null for a null text, otherwise a string.
    private func write(_ cell: String, to writer: inout JSONWriter) {
        if nulls.contains(where: cell.equalsUTF8) {
            writer.json("null".utf8)
        } else if Self.isNumber(cell) {
            writer.json(cell.utf8)
        } else {
            writer.string(cell)
        }
    }

    /// JSON's grammar of numbers, with at most 15 digits: a double cannot represent more.
    static func isNumber(_ text: String) -> Bool {
        var rest = text.utf8[...]
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let whole = rest.prefix { (0x30...0x39).contains($0) }
        guard !whole.isEmpty, whole.count == 1 || whole.first != UInt8(ascii: "0") else { return false }
        rest = rest.dropFirst(whole.count)
        guard let dot = rest.first else { return whole.count <= 15 }
        guard dot == UInt8(ascii: ".") else { return false }
        rest = rest.dropFirst()
        return !rest.isEmpty && rest.allSatisfy { (0x30...0x39).contains($0) } && whole.count + rest.count <= 15
    }
}

/// Text with columns in it: `{column}`, `{column:.14}` (its first 14 characters), `{column:02}` (padded with zeros on the left to 2),
/// `{#}` (the row's number). `{{` and `}}` are braces.
struct Template {
    private enum Part {
        case text(String)
        case row
        case column(Int, limit: Int?, width: Int)
    }

    private var parts: [Part] = []

    init(_ source: String, columns: [String]) throws(ImportFailure) {
        var rest = source[...]
        let (open, close) = (UInt8(ascii: "{"), UInt8(ascii: "}"))
        while let brace = rest.utf8.firstIndex(where: { $0 == open || $0 == close }) {
            parts.append(.text(String(rest[..<brace])))
            let next = rest.utf8.index(after: brace)
            if next < rest.endIndex, rest.utf8[next] == rest.utf8[brace] {
                parts.append(.text(rest.utf8[brace] == open ? "{" : "}"))
                rest = rest[rest.utf8.index(after: next)...]
                continue
            }
            guard rest.utf8[brace] == open, let end = rest.utf8[next...].firstIndex(of: close) else {
                throw ImportFailure("'\(source)': a brace is not closed or not opened; write {{ and }} for braces")
            }
            parts.append(try Self.part(rest[next..<end], columns: columns))
            rest = rest[rest.utf8.index(after: end)...]
        }
        parts.append(.text(String(rest)))
    }

    private static func part(_ text: Substring, columns: [String]) throws(ImportFailure) -> Part {
        if text.equalsUTF8("#") { return .row }
        if let index = columns.firstIndex(where: text.equalsUTF8) { return .column(index, limit: nil, width: 0) }
        if let (name, format) = text.cutUTF8(atLast: ":"), let index = columns.firstIndex(where: name.equalsUTF8) {
            if format.starts(withUTF8: "."), let limit = Int(format.trimmingUTF8(first: 1)) {
                return .column(index, limit: limit, width: 0)
            }
            if format.starts(withUTF8: "0"), let width = Int(format), width <= 100 { return .column(index, limit: nil, width: width) }
        }
        throw ImportFailure("{\(text)}: there is no such column; the columns are \(columns.joined(separator: ", "))")
    }

    func text(_ cells: [String], row: Int) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .text(let part): text += part
            case .row: text += String(row)
            case .column(let index, let limit, let width):
                let cell = index < cells.count ? cells[index] : ""
                if width > cell.utf8.count { text += String(repeating: "0", count: width - cell.utf8.count) }
                text += limit.map { String(cell.prefix($0)) } ?? cell
            }
        }
        return text
    }
}
