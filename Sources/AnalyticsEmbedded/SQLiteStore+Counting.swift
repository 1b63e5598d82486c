public import AnalyticsCore
import GRDB

extension SQLiteStore {
    public func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await read(.countEvents) { db in
            var reducer = reducer
            for ranges in ranges.inOrderAndMerged().withoutSharedMinutes() {
                guard try Self.count(db, selection, in: ranges, into: &reducer) else { break }
            }
            reducer.finish()
            return reducer
        }
    }

    /// Read from `events_minute` alone, in its order. False when the reducer takes no more.
    private static func count(
        _ db: Database, _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: inout some CountReducer
    ) throws -> Bool {
        guard let first = ranges.first?.lowerBound, let end = ranges.last?.upperBound else { return true }
        var arguments: StatementArguments = [
            SQLiteText(selection.project), first.minute, (end - .milliseconds(1)).minute, first.milliseconds, end.milliseconds,
        ]
        var conditions = ""
        if ranges.count > 1 {
            conditions =
                "AND EXISTS (SELECT 1 FROM json_each(?) AS range WHERE timestamp >= range.value ->> 0 AND timestamp < range.value ->> 1)"
            let bounds = ranges.map { "[\($0.lowerBound.milliseconds),\($0.upperBound.milliseconds)]" }
            arguments += ["[\(bounds.joined(separator: ","))]"]
        }
        for (column, values) in [("type", selection.types), ("source", selection.sources)] where !values.isEmpty {
            // Not as JSON: SQLite cuts its strings at a NUL.
            conditions += " AND \(column) IN (\(values.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")))"
            arguments += StatementArguments(values.map(SQLiteText.init))
        }
        let sql = """
            SELECT minute, type, source, count(*) FROM events INDEXED BY events_minute
            WHERE project = CAST(? AS TEXT) AND minute BETWEEN ? AND ? AND timestamp >= ? AND timestamp < ? \(conditions)
            GROUP BY minute, type, source ORDER BY minute, type, source
            """
        // Statements with filters are as many as there are numbers of values: they are not kept.
        let isPlain = selection.types.isEmpty && selection.sources.isEmpty
        let statement = try isPlain ? db.cachedStatement(sql: sql) : db.makeStatement(sql: sql)
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() {
            let count = EventCount(
                minute: row[0], type: (row[1] as SQLiteText).string, source: (row[2] as SQLiteText).string, count: row[3])
            guard reducer.add(count) else { return false }
        }
        return true
    }

    public func extent(project: String) async throws(StoreError) -> Range<Timestamp>? {
        try await read(.extent) { db in
            let times = Timestamp.earliest.milliseconds...Timestamp.latest.milliseconds
            var spans: [Range<Timestamp>] = []
            if let range = try Self.range(
                db, of: "timestamp", within: times, in: "events WHERE project = CAST(? AS TEXT)", [SQLiteText(project)])
            {
                let minutes = [range.lowerBound, range.upperBound].map { Timestamp(milliseconds: $0).minute }
                spans.append(Timestamp(minute: minutes[0])..<Timestamp(minute: minutes[1] + 1))
            }
            for tier in [RollupTier.minute, .hour] {
                let rows = "buckets WHERE tier = ? AND project = CAST(? AS TEXT)"
                guard let range = try Self.range(db, of: "bucket", within: tier.indexes, in: rows, [tier.number, SQLiteText(project)])
                else { continue }
                let ends = [range.lowerBound, range.upperBound + 1].map { Timestamp(index: $0, of: tier.milliseconds) }
                spans.append(ends[0]..<ends[1])
            }
            guard let start = spans.map(\.lowerBound).min(), let end = spans.map(\.upperBound).max() else { return nil }
            return start..<end
        }
    }

    /// The smallest and the largest; each a query of its own, because SQLite looks at one end of an index only for a single one.
    private static func range(
        _ db: Database, of column: String, within bounds: ClosedRange<Int64>, in rows: String, _ arguments: StatementArguments
    ) throws -> ClosedRange<Int64>? {
        let query = "FROM \(rows) AND \(column) BETWEEN ? AND ?"
        let arguments = arguments + [bounds.lowerBound, bounds.upperBound]
        guard let smallest = try Int64.fetchOne(db.cachedStatement(sql: "SELECT min(\(column)) \(query)"), arguments: arguments),
            let largest = try Int64.fetchOne(db.cachedStatement(sql: "SELECT max(\(column)) \(query)"), arguments: arguments)
        else { return nil }
        return smallest...largest
    }

    public func projects() async throws(StoreError) -> [String] {
        try await read(.projects) { db in
            // From project to project through the index: DISTINCT would read all of it.
            let next = [
                "SELECT min(project) FROM events WHERE project > CAST(?1 AS TEXT)",
                "SELECT min(project) FROM buckets WHERE tier = 0 AND project > CAST(?1 AS TEXT)",
                "SELECT min(project) FROM buckets WHERE tier = 1 AND project > CAST(?1 AS TEXT)",
            ]
            var projects: [String] = []
            while true {
                let candidates = try next.compactMap { sql in
                    try SQLiteText.fetchOne(db.cachedStatement(sql: sql), arguments: [SQLiteText(projects.last ?? "")])?.string
                }
                guard let project = candidates.min(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) else { return projects }
                projects.append(project)
            }
        }
    }
}

extension Array where Element == Range<Timestamp> {
    /// Neighbours that cut the same minute together, all others alone; what is counted in one query is grouped as one.
    func withoutSharedMinutes() -> [[Range<Timestamp>]] {
        var clusters: [[Range<Timestamp>]] = []
        for range in self {
            if let last = clusters.last?.last, (last.upperBound - .milliseconds(1)).minute == range.lowerBound.minute {
                clusters[clusters.count - 1].append(range)
            } else {
                clusters.append([range])
            }
        }
        return clusters
    }
}
