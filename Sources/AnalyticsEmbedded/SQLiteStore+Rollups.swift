public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    public func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {
        try await mark([TierMarks(tier, marks)])
    }

    /// All tiers in one transaction: one sync per call.
    public func mark(_ tiers: [TierMarks]) async throws(StoreError) {
        guard tiers.contains(where: { !$0.marks.isEmpty }) else { return }
        try await write(.mark) { db in
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO buckets (tier, project, bucket, version, done, dirty, groups, events, causes, received)
                    VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET version = version + 1, dirty = 1, causes = causes | (excluded.causes >> 8),
                        told = told + ?, parts = coalesce(?, parts)
                    """)
            for tier in tiers {
                let (tier, marks) = (tier.tier, tier.marks)
                for mark in marks {
                    let (isCounted, version) = (mark.table != nil, tier.firstVersion)
                    let parts = try tier == .minute ? Self.parts(db, mark) : nil
                    let received = isCounted ? mark.received : nil
                    try statement.execute(arguments: [
                        tier.number, SQLiteText(mark.key.project.name), mark.key.index, version, isCounted ? version : 0, !isCounted,
                        Data(mark.table?.bytes ?? []), mark.events,
                        mark.causes.rawValue * BucketCauses.createdFactor, received.map { Data($0.stored(for: version)) },
                        parts == nil ? 0 : 1,
                        parts.map { Data($0) },
                    ])
                }
            }
        }
    }

    public func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] {
        try await read(.dirtyBuckets) { db in
            // No project has the name "", so it sorts before every key.
            let statement = try db.cachedStatement(
                sql: """
                    SELECT project, bucket, version, done FROM buckets INDEXED BY buckets_dirty
                    WHERE dirty = 1 AND tier = ? AND (project, bucket) > (CAST(? AS TEXT), ?) AND bucket BETWEEN ? AND ?
                    ORDER BY project, bucket LIMIT ?
                    """)
            let arguments: StatementArguments = [
                tier.number, SQLiteText(key?.project.name ?? ""), key?.index ?? .min, tier.indexes.lowerBound, tier.indexes.upperBound,
                limit,
            ]
            var buckets: [BucketVersion] = []
            let rows = try Row.fetchCursor(statement, arguments: arguments)
            while let row = try rows.next() {
                let key = BucketKey(project: try (row[0] as SQLiteText).project(), index: row[1])
                buckets.append(BucketVersion(key: key, version: row[2], done: row[3]))
            }
            return buckets
        }
    }

    public func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int, content: BucketContent
    ) async throws(StoreError) -> RollupPage {
        guard !ranges.isEmpty else { return RollupPage(rollups: []) }
        let (groups, received) = (content == .received ? "NULL" : "groups", content == .groups ? "NULL" : "received")
        return try await readEach(.rollups) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT bucket, version, done, dirty, \(groups), \(received) FROM buckets
                    WHERE tier = ? AND project = CAST(? AS TEXT) AND bucket >= ? AND bucket < ? ORDER BY bucket
                    """)
            var page = RollupPage(rollups: [])
            var bytes = 0
            for range in ranges.inOrderAndMerged() {
                let arguments: StatementArguments = [tier.number, SQLiteText(project.name), range.lowerBound, range.upperBound]
                let rows = try Row.fetchCursor(statement, arguments: arguments)
                while let row = try rows.next() {
                    if bytes >= byteLimit, let last = page.rollups.last {
                        page.next = last.key.index + 1
                        return page
                    }
                    let rollup = Rollup(
                        key: BucketKey(project: project, index: row[0]), version: row[1], done: row[2], dirty: row[3],
                        table: try content == .received ? .overflow : GroupTable(bytes: Self.bytes(row, 4)),
                        received: try row.hasNull(atIndex: 5) ? nil : ReceivedTable(stored: Self.bytes(row, 5), for: row[2]))
                    page.rollups.append(rollup)
                    bytes += rollup.size
                }
            }
            return page
        }
    }

    private static func bytes(_ row: Row, _ index: Int) throws -> [UInt8] {
        try row.withUnsafeData(atIndex: index) { $0.map { Array($0) } ?? [] }
    }

    public func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int {
        guard !buckets.isEmpty else { return 0 }
        return try await write(.roll) { db in
            let statement = try db.cachedStatement(
                sql: """
                    UPDATE buckets SET groups = ?1, done = ?2, dirty = (version <> ?2), received = ?6
                    WHERE tier = ?3 AND project = CAST(?4 AS TEXT) AND bucket = ?5 AND done < ?2
                    """)
            var applied = 0
            for bucket in buckets {
                if bucket.at != nil {
                    if try Self.rollMinute(db, bucket) { applied += 1 }
                    continue
                }
                try statement.execute(arguments: [
                    Data(bucket.table.bytes), bucket.version, tier.number, SQLiteText(bucket.key.project.name),
                    bucket.key.index, bucket.received.map { Data($0.stored(for: bucket.version)) },
                ])
                applied += db.changesCount
            }
            return applied
        }
    }

    public func fillReceived(_ tier: RollupTier, _ buckets: [Rollup]) async throws(StoreError) {
        guard !buckets.isEmpty else { return }
        try await write(.fillReceived) { db in
            let statement = try db.cachedStatement(
                sql: """
                    UPDATE buckets SET received = ?1
                    WHERE tier = ?2 AND project = CAST(?3 AS TEXT) AND bucket = ?4 AND done = ?5
                        AND substr(received, 1, length(?6)) IS NOT ?6
                    """)
            for bucket in buckets {
                guard let received = bucket.received else { continue }
                try statement.execute(arguments: [
                    Data(received.stored(for: bucket.done)), tier.number, SQLiteText(bucket.key.project.name), bucket.key.index,
                    bucket.done, Data(ReceivedTable.beginning(for: bucket.done)),
                ])
            }
        }
    }

    public func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {
        guard !buckets.isEmpty else { return }
        try await write(.unmark) { db in
            let statement = try db.cachedStatement(
                sql: "UPDATE buckets SET dirty = 0 WHERE tier = ? AND project = CAST(? AS TEXT) AND bucket = ? AND version = ?")
            for bucket in buckets {
                try statement.execute(arguments: [tier.number, SQLiteText(bucket.key.project.name), bucket.key.index, bucket.version])
            }
        }
    }

    public func versions(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Int64: Int64] {
        guard !ranges.isEmpty else { return [:] }
        return try await read(.versions) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT bucket, version FROM buckets WHERE tier = ? AND project = CAST(? AS TEXT) AND bucket >= ? AND bucket < ?")
            var versions: [Int64: Int64] = [:]
            for range in ranges.inOrderAndMerged() {
                let rows = try Row.fetchCursor(
                    statement, arguments: [tier.number, SQLiteText(project.name), range.lowerBound, range.upperBound])
                while let row = try rows.next() { versions[row[0]] = row[1] }
            }
            return versions
        }
    }

    public func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64 {
        try await readEach(.generation) { db in
            let statement = try db.cachedStatement(
                sql:
                    "SELECT coalesce(sum(version), 0) FROM buckets WHERE tier = ? AND project = CAST(? AS TEXT) AND bucket >= ? AND bucket < ?"
            )
            return try Int64.fetchOne(
                statement, arguments: [RollupTier.day.number, SQLiteText(project.name), days.lowerBound, days.upperBound])
                ?? 0
        }
    }
}

// MARK: - Stamps

extension SQLiteStore {
    public func minuteStamp(_ minute: BucketKey) async throws(StoreError) -> MinuteStamp? {
        try await read(.minuteStamp) { db in try Self.stamp(db, minute) }
    }

    /// The parts of an existing minute after a mark; `nil` if the mark has none.
    private static func parts(_ db: Database, _ mark: BucketMark) throws -> [UInt8]? {
        guard let parts = mark.parts, !parts.isEmpty, var stamp = try stamp(db, mark.key), stamp.told >= 0 else { return nil }
        stamp.mark(parts)
        return stamp.encodedMarks
    }

    private static func stamp(_ db: Database, _ minute: BucketKey) throws -> MinuteStamp? {
        let statement = try db.cachedStatement(
            sql: "SELECT version, told, parts FROM buckets WHERE tier = 0 AND project = CAST(? AS TEXT) AND bucket = ?")
        return try Row.fetchOne(statement, arguments: [SQLiteText(minute.project.name), minute.index]).map { row in
            let parts = try row.withUnsafeData(atIndex: 2) { $0.map { Array($0) } ?? [] }
            // Unreadable parts stay unreadable: readers treat them like a mark without parts, and no parts are recorded any more.
            guard let marks = MinuteStamp.marks(encoded: parts) else { return MinuteStamp(version: row[0], told: -1) }
            return MinuteStamp(version: row[0], told: row[1], marks: marks)
        }
    }
}

// MARK: - Histories

extension SQLiteStore {
    public func histories(project: ProjectID, minutes: [Range<Int64>]) async throws(StoreError) -> [BucketHistory] {
        try await read(.histories) { db in
            var histories: [BucketHistory] = []
            for range in minutes.inOrderAndMerged() {
                let rows = try Row.fetchCursor(
                    db.cachedStatement(sql: Self.history + "bucket >= ? AND bucket < ? ORDER BY bucket"),
                    arguments: [SQLiteText(project.name), range.lowerBound, range.upperBound])
                while let row = try rows.next() { histories.append(try BucketHistory(row, project)) }
            }
            return histories
        }
    }

    private static let history = """
        SELECT bucket, version, done, events, causes, journal FROM buckets WHERE tier = 0 AND project = CAST(? AS TEXT) AND
        """ + " "

    private static func rollMinute(_ db: Database, _ bucket: RolledBucket) throws -> Bool {
        let project = SQLiteText(bucket.key.project.name)
        let row = try Row.fetchOne(db.cachedStatement(sql: history + "bucket = ?"), arguments: [project, bucket.key.index])
        guard var history = try row.map({ try BucketHistory($0, bucket.key.project) }), history.done < bucket.version else { return false }
        history.roll(bucket)
        try db.cachedStatement(
            sql: """
                UPDATE buckets SET groups = ?, done = ?, dirty = (version <> ?), events = ?, causes = ?, journal = ?, received = ?
                WHERE tier = 0 AND project = CAST(? AS TEXT) AND bucket = ?
                """
        ).execute(arguments: [
            Data(bucket.table.bytes), history.done, history.done, history.events, history.storedCauses,
            history.changes.isEmpty ? nil : Data(BucketHistory.encoded(history.changes)),
            bucket.received.map { Data($0.stored(for: history.done)) }, project, bucket.key.index,
        ])
        return true
    }
}

extension BucketHistory {
    fileprivate init(_ row: Row, _ project: ProjectID) throws {
        let journal = try row.withUnsafeData(atIndex: 5) { $0.map { Array($0) } ?? [] }
        let (created, causes) = Self.causes(stored: row[4])
        self.init(
            key: BucketKey(project: project, index: row[0]), version: row[1], done: row[2], events: row[3], created: created,
            causes: causes,
            changes: Self.changes(encoded: journal))
    }
}

extension Array {
    /// In order, without empty ranges; adjacent and overlapping ranges are merged.
    func inOrderAndMerged<Bound>() -> [Range<Bound>] where Element == Range<Bound> {
        var merged: [Range<Bound>] = []
        for range in filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}
