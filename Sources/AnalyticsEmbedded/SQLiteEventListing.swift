public import AnalyticsCore
import GRDB

/// A listing as SQL.
///
/// Its keys are read first, in their order, straight from an index, as many as the page holds; the events then, by rowid. Where a
/// filter names several users (or correlation ids, or types), each is read in the order of its own index and the results are merged:
/// SQLite would read everything under `IN (…)` and sort it.
struct SQLiteEventListing {
    /// A place in the listing, and the row that is there.
    struct Key {
        var timestamp: Int64
        var id: SQLiteText
        var rowid: Int64

        static func newestFirst(_ a: Key, _ b: Key) -> Bool {
            if a.timestamp != b.timestamp { return a.timestamp > b.timestamp }
            return b.id.string.utf8.lexicographicallyPrecedes(a.id.string.utf8)
        }
    }

    /// Above this many alternatives a walk through everything costs no more than as many walks.
    static let branchLimit = 50

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
        guard let branch = branchColumn else { return try keys(db, branch: nil) }
        var merged: [Key] = []
        for value in branch.values {
            merged += try keys(db, branch: Alternatives(column: branch.column, values: [value]))
            merged = Array(merged.sorted(by: Key.newestFirst).prefix(limit))
        }
        return merged
    }

    /// The keys under one value of the branch, or of the whole project.
    private func keys(_ db: Database, branch: Alternatives?) throws -> [Key] {
        var query = Query(sql: "SELECT timestamp, id, rowid\(matcher.isEmpty ? "" : ", data") FROM events")
        query.sql += " INDEXED BY \(branch?.index ?? "events_time") WHERE project = CAST(? AS TEXT)"
        query.arguments.append(SQLiteText(selection.project.name))
        branch.map { query.and($0) }
        for alternatives in alternatives where alternatives.column != branch?.column { query.and(alternatives) }
        addRange(&query)
        query.sql += " ORDER BY timestamp DESC, id DESC"

        var keys: [Key] = []
        let rows = try Row.fetchCursor(db, sql: query.sql, arguments: StatementArguments(query.arguments))
        while keys.count < limit, let row = try rows.next() {
            if try matcher.isEmpty || matcher.matches(row[3]) { keys.append(Key(timestamp: row[0], id: row[1], rowid: row[2])) }
        }
        return keys
    }

    /// Upper end: the range's or the position, whichever is earlier, so that the index is entered there.
    private func addRange(_ query: inout Query) {
        if let from = selection.from { query.and("timestamp >= ?", from.milliseconds) }
        if let position, selection.to.map({ position.timestamp < $0 }) ?? true {
            query.and("(timestamp, id) < (?, CAST(? AS TEXT))", position.timestamp.milliseconds, SQLiteText(position.id))
        } else if let to = selection.to {
            query.and("timestamp < ?", to.milliseconds)
        }
    }

    private var alternatives: [Alternatives] {
        [
            Alternatives(column: .userId, values: selection.userIds),
            Alternatives(column: .correlationId, values: selection.correlationIds),
            Alternatives(column: .type, values: selection.types), Alternatives(column: .source, values: selection.sources),
            Alternatives(column: .anonymousId, values: selection.anonymousIds),
        ].filter { !$0.values.isEmpty }
    }

    /// What is likely to leave the fewest events and has an index in the order of the listing.
    private var branchColumn: Alternatives? {
        alternatives.first { $0.index != nil && $0.values.count <= Self.branchLimit }
    }
}

extension SQLiteEventListing {
    /// A column and the values that it may have.
    private struct Alternatives {
        enum Column: String {
            case userId, correlationId, type, source, anonymousId
        }

        var column: Column
        var values: [String]

        /// Each value once, told apart by its bytes.
        init(column: Column, values: [String]) {
            var seen: Set<[UInt8]> = []
            self.column = column
            self.values = values.filter { seen.insert(Array($0.utf8)).inserted }
        }

        /// One in the order of the listing; `nil` where there is none.
        var index: String? {
            switch column {
            case .userId: "events_user"
            case .correlationId: "events_correlation"
            case .type: "events_type"
            case .source, .anonymousId: nil
            }
        }
    }

    private struct Query {
        var sql: String
        var arguments: [any DatabaseValueConvertible] = []

        mutating func and(_ condition: String, _ values: any DatabaseValueConvertible...) {
            sql += " AND \(condition)"
            arguments += values
        }

        mutating func and(_ alternatives: Alternatives) {
            let column = alternatives.column.rawValue
            if alternatives.values.count == 1 {
                sql += " AND \(column) = CAST(? AS TEXT)"
            } else {
                sql += " AND \(column) IN (\(alternatives.values.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")))"
            }
            arguments += alternatives.values.map(SQLiteText.init)
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
