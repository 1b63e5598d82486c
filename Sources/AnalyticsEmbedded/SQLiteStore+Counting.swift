public import AnalyticsCore
import GRDB

extension SQLiteStore {
    public func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        let count: @Sendable (Database) throws -> Reducer = { db in
            var reducer = reducer
            for ranges in ranges.inOrderAndMerged().withoutSharedMinutes() {
                guard try Self.count(db, selection, in: ranges, into: &reducer) else { break }
            }
            reducer.finish()
            return reducer
        }
        // By receipt, a group may be read twice: both times in the same state.
        return try await reducer.isByReceipt ? read(.countEvents, count) : readEach(.countEvents, count)
    }

    /// Counts in order, from `events_minute` alone unless the selection uses other columns. Returns false if the reducer takes no more.
    private static func count(
        _ db: Database, _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: inout some CountReducer
    ) throws -> Bool {
        guard let first = ranges.first?.lowerBound, let end = ranges.last?.upperBound else { return true }
        var conditions = ""
        var values: StatementArguments = []
        if ranges.count > 1 {
            conditions =
                "AND EXISTS (SELECT 1 FROM json_each(?) AS range WHERE timestamp >= range.value ->> 0 AND timestamp < range.value ->> 1)"
            let bounds = ranges.map { "[\($0.lowerBound.milliseconds),\($0.upperBound.milliseconds)]" }
            values += ["[\(bounds.joined(separator: ","))]"]
        }
        let lists = [
            ("type", selection.types), ("source", selection.sources), ("userId", selection.userIds),
            ("anonymousId", selection.anonymousIds), ("correlationId", selection.correlationIds),
        ].filter { !$0.1.isEmpty }
        for (column, texts) in lists {
            // Not as JSON: SQLite truncates its strings at a NUL.
            conditions += " AND \(column) IN (\(texts.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")))"
            values += StatementArguments(texts.map(SQLiteText.init))
        }
        if !selection.includesBots { conditions += " AND bot IS NULL" }
        let matcher = DataMatcher(selection.data)
        let index = !selection.userIds.isEmpty ? "events_user" : selection.correlationIds.isEmpty ? "events_minute" : "events_correlation"
        let project = SQLiteText(selection.project.name)
        func select(
            _ columns: String, where minutes: String, _ bounds: StatementArguments, _ rest: String, _ more: StatementArguments = []
        ) throws -> RowCursor {
            let sql = """
                SELECT minute, type, source, \(columns) FROM events INDEXED BY \(index)
                WHERE project = CAST(? AS TEXT) AND \(minutes) AND timestamp >= ? AND timestamp < ? \(conditions) \(rest)
                """
            // Lists may have any length. There are few statements with at most one value per list.
            let isCommon = matcher.isEmpty && lists.allSatisfy { $0.1.count == 1 }
            let statement = try isCommon ? db.cachedStatement(sql: sql) : db.makeStatement(sql: sql)
            return try Row.fetchCursor(statement, arguments: bounds + values + more)
        }
        let minutes = "minute BETWEEN ? AND ?"
        let bounds: StatementArguments = [
            project, first.minute, (end - .milliseconds(1)).minute, first.milliseconds, end.milliseconds,
        ]
        guard matcher.isEmpty else {
            let received = reducer.isByReceipt ? ", receivedAt" : ""
            let events = try select("bot, data\(received)", where: minutes, bounds, "ORDER BY minute, type, source\(received)")
            return try give(events, matching: matcher, to: &reducer)
        }
        let received = reducer.isByReceipt ? ", min(receivedAt), max(receivedAt)" : ""
        let groups = try select(
            "count(bot), count(*)\(received)", where: minutes, bounds, "GROUP BY minute, type, source ORDER BY minute, type, source")
        return try give(groups, to: &reducer) { group in
            let bounds: StatementArguments = [project, group.minute, first.milliseconds, end.milliseconds]
            return try select(
                "count(bot), count(*), min(receivedAt)", where: "minute = ?", bounds,
                "AND type = CAST(? AS TEXT) AND source = CAST(? AS TEXT) GROUP BY \(dayOfReceipt) ORDER BY \(dayOfReceipt)",
                [SQLiteText(group.type), SQLiteText(group.source)])
        }
    }

    /// The UTC day of a time of receipt. SQLite's division rounds towards zero.
    private static let dayOfReceipt = "receivedAt / 86400000 - (receivedAt % 86400000 < 0)"

    /// - Parameter byDay: Counts a group whose events were received on several days, by day. To group all of them by day, SQLite would have
    ///   to sort the events.
    private static func give(
        _ rows: RowCursor, to reducer: inout some CountReducer, byDay: (EventCount) throws -> RowCursor
    ) throws -> Bool {
        let isByReceipt = reducer.isByReceipt
        while let row = try rows.next() {
            var group = EventCount(row, count: row[4], bots: row[3])
            if isByReceipt {
                group.received = day(row, 5)
                if group.received != day(row, 6) {
                    let days = try byDay(group)
                    while let row = try days.next() {
                        group.count = row[4]
                        group.bots = row[3]
                        group.received = day(row, 5)
                        guard reducer.add(group) else { return false }
                    }
                    continue
                }
            }
            guard reducer.add(group) else { return false }
        }
        return true
    }

    private static func day(_ row: Row, _ index: Int) -> Int64 { Timestamp(milliseconds: row[index]).day }

    /// For rows with one event's `data` each, in which the events of a group are adjacent.
    private static func give(_ rows: RowCursor, matching matcher: DataMatcher, to reducer: inout some CountReducer) throws -> Bool {
        let isByReceipt = reducer.isByReceipt
        var group: EventCount?
        while let row = try rows.next() {
            guard try matcher.matches(row[4]) else { continue }
            var event = EventCount(row, count: 1, bots: row[3] ?? 0)
            if isByReceipt { event.received = day(row, 5) }
            if let known = group, known.minute == event.minute, known.type.equalsUTF8(event.type), known.source.equalsUTF8(event.source),
                known.received == event.received
            {
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
