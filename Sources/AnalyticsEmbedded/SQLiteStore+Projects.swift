public import AnalyticsCore
import GRDB

extension SQLiteStore {
    private static let columns = "project, retentionDays, changedAt, closedBefore, watermark, timeZone, properties, visitorIds, erasures"

    public func projectRecords() async throws(StoreError) -> [ProjectRecord] {
        try await read(.projectRecords) { db in
            try Self.records(db, db.cachedStatement(sql: "SELECT \(Self.columns) FROM projects"), [])
        }
    }

    /// One writer and one file: all earlier commits are visible.
    public func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] {
        try await read(.newestRecords) { db in
            let statement = try db.cachedStatement(sql: "SELECT \(Self.columns) FROM projects WHERE project = CAST(? AS TEXT)")
            return try projects.flatMap { try Self.records(db, statement, [SQLiteText($0.name)]) }
        }
    }

    public func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {
        try await setRetention(.createRecord, project, retentionDays, time, where: "WHERE projects.retentionDays IS NULL")
    }

    public func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {
        try await setRetention(.setRetention, project, days, time, where: "")
    }

    private func setRetention(
        _ operation: StoreOperation, _ project: ProjectID, _ days: Int, _ time: Timestamp, where condition: String
    ) async throws(StoreError) {
        try await write(operation) { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO projects (project, retentionDays, changedAt) VALUES (CAST(? AS TEXT), ?, ?)
                    ON CONFLICT DO UPDATE SET retentionDays = excluded.retentionDays, changedAt = excluded.changedAt \(condition)
                    """
            ).execute(arguments: [SQLiteText(project.name), days, time.milliseconds])
        }
    }

    public func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError) {
        try await write(.setTimeZone) { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO projects (project, timeZone) VALUES (CAST(? AS TEXT), CAST(? AS TEXT))
                    ON CONFLICT DO UPDATE SET timeZone = excluded.timeZone
                    """
            ).execute(arguments: [SQLiteText(project.name), SQLiteText(zone.text)])
        }
    }

    public func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError) {
        try await write(.setProperties) { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO projects (project, properties) VALUES (CAST(? AS TEXT), ?)
                    ON CONFLICT DO UPDATE SET properties = excluded.properties
                    """
            ).execute(arguments: [SQLiteText(project.name), PropertyPath.json(paths)])
        }
    }

    public func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError) {
        try await write(.setVisitorIds) { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO projects (project, visitorIds) VALUES (CAST(? AS TEXT), ?)
                    ON CONFLICT DO UPDATE SET visitorIds = excluded.visitorIds
                    """
            ).execute(arguments: [SQLiteText(project.name), isOn])
        }
    }

    public func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {
        try await raise(.close, ["closedBefore"], of: project, to: time)
    }

    public func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {
        try await raise(.raiseWatermark, ["closedBefore", "watermark"], of: project, to: time)
    }

    private func raise(_ operation: StoreOperation, _ columns: [String], of project: ProjectID, to time: Timestamp) async throws(StoreError)
    {
        try await write(operation) { db in try SQLiteStoreSchema.raise(db, columns, of: SQLiteText(project.name), to: time) }
    }

    /// Reads the watermark in the same transaction.
    public func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int {
        try await write(.deleteExpired) { db in
            try db.cachedStatement(
                sql: """
                    DELETE FROM events WHERE rowid IN (
                        SELECT rowid FROM events
                        WHERE project = CAST(?1 AS TEXT)
                            AND timestamp < (SELECT watermark FROM projects WHERE project = CAST(?1 AS TEXT))
                        ORDER BY timestamp LIMIT ?2)
                    """
            ).execute(arguments: [SQLiteText(project.name), limit])
            return db.changesCount
        }
    }

    private static func records(_ db: Database, _ statement: Statement, _ arguments: StatementArguments) throws -> [ProjectRecord] {
        var records: [ProjectRecord] = []
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() {
            let zone = (row[5] as SQLiteText?)?.string
            let properties = (row[6] as String?).map { PropertyPath.list(json: $0) } ?? .some([])
            let record = ProjectRecord(
                project: try (row[0] as SQLiteText).project(), retentionDays: row[1], changedAt: time(row[2]), closedBefore: time(row[3]),
                watermark: time(row[4]), timeZone: zone.flatMap(ZoneName.init),
                properties: properties ?? [], hasVisitorIds: (row[7] as Bool?) ?? false, erasures: row[8])
            guard record.isValid, (record.timeZone == nil) == (zone == nil), properties != nil else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a project's record cannot be read")
            }
            records.append(record)
        }
        return records
    }

    private static func time(_ milliseconds: Int64?) -> Timestamp? { milliseconds.map(Timestamp.init(milliseconds:)) }
}

extension SQLiteStoreSchema {
    /// Raises the given time columns of a project's record.
    static func raise(_ db: Database, _ columns: [String], of project: SQLiteText, to time: Timestamp) throws {
        // `max` of a NULL is NULL.
        let updates = columns.map { "\($0) = max(coalesce(\($0), excluded.\($0)), excluded.\($0))" }.joined(separator: ", ")
        let values = columns.map { _ in "?2" }.joined(separator: ", ")
        try db.cachedStatement(
            sql: """
                INSERT INTO projects (project, \(columns.joined(separator: ", "))) VALUES (CAST(?1 AS TEXT), \(values))
                ON CONFLICT DO UPDATE SET \(updates)
                """
        ).execute(arguments: [project, time.milliseconds])
    }
}
