public import AnalyticsCore
import GRDB

extension SQLiteStore {
    public func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await readEach(.countEvents) { db in
            var reducer = reducer
            for ranges in ranges.inOrderAndMerged().withoutSharedMinutes() {
                guard try Self.count(db, selection, in: ranges, into: &reducer) else { break }
            }
            reducer.finish()
            return reducer
        }
    }

    /// Counts in order, from `events_minute` alone unless the selection uses other columns. Returns false if the reducer takes no more.
    private static func count(
        _ db: Database, _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: inout some CountReducer
    ) throws -> Bool {
        guard let first = ranges.first?.lowerBound, let end = ranges.last?.upperBound else { return true }
        var arguments: StatementArguments = [
            SQLiteText(selection.project.name), first.minute, (end - .milliseconds(1)).minute, first.milliseconds, end.milliseconds,
        ]
        var conditions = ""
        if ranges.count > 1 {
            conditions =
                "AND EXISTS (SELECT 1 FROM json_each(?) AS range WHERE timestamp >= range.value ->> 0 AND timestamp < range.value ->> 1)"
            let bounds = ranges.map { "[\($0.lowerBound.milliseconds),\($0.upperBound.milliseconds)]" }
            arguments += ["[\(bounds.joined(separator: ","))]"]
        }
        let lists = [
            ("type", selection.types), ("source", selection.sources), ("userId", selection.userIds),
            ("anonymousId", selection.anonymousIds), ("correlationId", selection.correlationIds),
        ].filter { !$0.1.isEmpty }
        for (column, values) in lists {
            // Not as JSON: SQLite truncates its strings at a NUL.
            conditions += " AND \(column) IN (\(values.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")))"
            arguments += StatementArguments(values.map(SQLiteText.init))
        }
        if !selection.includesBots { conditions += " AND bot IS NULL" }
        let matcher = DataMatcher(selection.data)
        let index = !selection.userIds.isEmpty ? "events_user" : selection.correlationIds.isEmpty ? "events_minute" : "events_correlation"
        let sql = """
            SELECT minute, type, source, \(matcher.isEmpty ? "count(bot), count(*)" : "bot, data") FROM events INDEXED BY \(index)
            WHERE project = CAST(? AS TEXT) AND minute BETWEEN ? AND ? AND timestamp >= ? AND timestamp < ? \(conditions)
            \(matcher.isEmpty ? "GROUP BY minute, type, source" : "") ORDER BY minute, type, source
            """
        // Lists may have any length. There are few statements with at most one value per list.
        let isCommon = matcher.isEmpty && lists.allSatisfy { $0.1.count == 1 }
        let statement = try isCommon ? db.cachedStatement(sql: sql) : db.makeStatement(sql: sql)
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        return try matcher.isEmpty ? give(rows, to: &reducer) : give(rows, matching: matcher, to: &reducer)
    }

    private static func give(_ rows: RowCursor, to reducer: inout some CountReducer) throws -> Bool {
        while let row = try rows.next() {
            guard reducer.add(EventCount(row, count: row[4], bots: row[3])) else { return false }
        }
        return true
    }

    /// For rows with one event's `data` each, in which the events of a group are adjacent.
    private static func give(_ rows: RowCursor, matching matcher: DataMatcher, to reducer: inout some CountReducer) throws -> Bool {
        var group: EventCount?
        while let row = try rows.next() {
            guard try matcher.matches(row[4]) else { continue }
            let event = EventCount(row, count: 1, bots: row[3] ?? 0)
            if let known = group, known.minute == event.minute, known.type.equalsUTF8(event.type), known.source.equalsUTF8(event.source) {
                group?.count += 1
                group?.bots += event.bots
            } else {
                if let group, !reducer.add(group) { return false }
                group = event
            }
        }
        return group.map { reducer.add($0) } ?? true
    }

    public func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>? {
        try await read(.extent) { db in
            let times = Timestamp.earliest.milliseconds...Timestamp.latest.milliseconds
            var spans: [Range<Timestamp>] = []
            if let range = try Self.range(
                db, of: "timestamp", within: times, in: "events WHERE project = CAST(? AS TEXT)", [SQLiteText(project.name)])
            {
                let minutes = [range.lowerBound, range.upperBound].map { Timestamp(milliseconds: $0).minute }
                spans.append(Timestamp(minute: minutes[0])..<Timestamp(minute: minutes[1] + 1))
            }
            for tier in [RollupTier.minute, .hour] {
                let rows = "buckets WHERE tier = ? AND project = CAST(? AS TEXT)"
                guard let range = try Self.range(db, of: "bucket", within: tier.indexes, in: rows, [tier.number, SQLiteText(project.name)])
                else { continue }
                let ends = [range.lowerBound, range.upperBound + 1].map { Timestamp(index: $0, of: tier.milliseconds) }
                spans.append(ends[0]..<ends[1])
            }
            guard let start = spans.map(\.lowerBound).min(), let end = spans.map(\.upperBound).max() else { return nil }
            return start..<end
        }
    }

    /// The smallest and the largest value. Two queries, because SQLite reads only an end of the index for a single min or max.
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

    public func projects() async throws(StoreError) -> [ProjectID] {
        try await read(.projects) { db in
            // Skips through the index from project to project: DISTINCT would read the whole index.
            let next = [
                "SELECT min(project) FROM events WHERE project > CAST(?1 AS TEXT)",
                "SELECT min(project) FROM buckets WHERE tier = 0 AND project > CAST(?1 AS TEXT)",
                "SELECT min(project) FROM buckets WHERE tier = 1 AND project > CAST(?1 AS TEXT)",
            ]
            var projects: [ProjectID] = []
            while true {
                let candidates = try next.compactMap { sql in
                    try SQLiteText.fetchOne(db.cachedStatement(sql: sql), arguments: [SQLiteText(projects.last?.name ?? "")])?.project()
                }
                guard let project = candidates.min() else { return projects }
                projects.append(project)
            }
        }
    }
}

extension EventCount {
    fileprivate init(_ row: Row, count: Int64, bots: Int64) {
        self.init(minute: row[0], type: (row[1] as SQLiteText).string, source: (row[2] as SQLiteText).string, count: count, bots: bots)
    }
}

extension Array where Element == Range<Timestamp> {
    /// Groups ranges that share a minute with their neighbour; one query counts each group, so that a minute is one row.
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
