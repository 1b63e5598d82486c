internal import AnalyticsCore

/// Encodes each event of a batch as the JSON to send, with its id.
struct EventEncoder: Sendable {
    /// The import's name.
    let name: String
    /// `nil` for NDJSON.
    let mapping: ColumnMapping?
    let separator: UInt8

    func texts(of events: [InputEvent]) -> [[UInt8]] {
        let inserter = EventIDInserter()
        return events.map { event in
            let id = { IDGenerator.derived(importName: name, line: event.line, bytes: event.bytes) }
            guard let mapping else { return inserter.insert(id, into: event.bytes) }
            return mapping.event(CSVState.cells(of: event.bytes, separator: separator), row: event.number, id: id)
        }
    }
}
