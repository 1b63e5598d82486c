public import AnalyticsCore
import GRDB

/// A listing as SQL.
///
/// First it reads the keys of one page from an index, in order, then the events by rowid. Keys from several index scans are
/// merged.
struct SQLiteEventListing {
    /// A position in the listing, and the row at it.
    struct Key {
        var timestamp: Int64
        var id: SQLiteText
        var rowid: Int64

        static func newestFirst(_ a: Key, _ b: Key) -> Bool {
            if a.timestamp != b.timestamp { return a.timestamp > b.timestamp }
            return b.id.string.utf8.lexicographicallyPrecedes(a.id.string.utf8)
        }
    }

    private let selection: Selection
    private let position: EventPosition?
    private let limit: Int
    private let byteLimit: Int
    private let matcher: DataMatcher

    init(_ selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int) {
        self.selection = selection
        self.position = position
        self.limit = limit
        self.byteLimit = byteLimit
        matcher = DataMatcher(selection.data)
    }

    func events(_ db: Database) throws -> [StoredEvent] {
        let statement = try db.cachedStatement(sql: "SELECT \(EventRow.columns) FROM events WHERE rowid = ?")
        var events: [StoredEvent] = []
        var bytes = 0
        for key in try keys(db) where events.isEmpty || bytes < byteLimit {
            guard let event = try statement.first([key.rowid], EventRow.event) else { continue }
            events.append(event)
            bytes += event.size
        }
        return events
    }

    private func keys(_ db: Database) throws -> [Key] {
        guard limit > 0 else { return [] }
        let runs = SQLiteSelection(selection).queries("timestamp, id, rowid\(matcher.isEmpty ? "" : ", data")")
        var merged: [Key] = []
        for run in runs {
            merged += try keys(db, run)
            if runs.count > 1 { merged = Array(merged.sorted(by: Key.newestFirst).prefix(limit)) }
        }
        return merged
    }

    private func keys(_ db: Database, _ run: SQLiteSelection.Query) throws -> [Key] {
        var query = run
        addRange(&query)
        query.sql += " ORDER BY timestamp DESC, id DESC"

        var keys: [Key] = []
        let rows = try Row.fetchCursor(db, sql: query.sql, arguments: StatementArguments(query.arguments))
        while keys.count < limit, let row = try rows.next() {
            if try matcher.isEmpty || matcher.matches(row[3]) { keys.append(Key(timestamp: row[0], id: row[1], rowid: row[2])) }
        }
        return keys
    }

    /// The upper end is the range's end or the position, whichever is earlier, so that the index scan starts there.
    private func addRange(_ query: inout SQLiteSelection.Query) {
        if let from = selection.from { query.and("timestamp >= ?", from.milliseconds) }
        if let position, selection.to.map({ position.timestamp < $0 }) ?? true {
            query.and("(timestamp, id) < (?, CAST(? AS TEXT))", position.timestamp.milliseconds, SQLiteText(position.id))
        } else if let to = selection.to {
            query.and("timestamp < ?", to.milliseconds)
        }
    }
}

extension SQLiteStore {
    public func events(
        matching selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        try await read(.events) { db in
            try SQLiteEventListing(selection, after: position, limit: limit, byteLimit: byteLimit).events(db)
        }
    }
}
