public import AnalyticsCore
import AnalyticsJSON
import Foundation
import GRDB

extension SQLiteStore {
    private static let columns = """
        project, retentionDays, changedAt, closedBefore, watermark, timeZone, properties, visitorIds, erasures, title, createdAt,
        archivedAt, origins, requestsPerSecond, eventsPerSecond
        """

    public func projectRecords() async throws(StoreError) -> [ProjectRecord] {
        try await read(.projectRecords) { db in
            try Self.records(db, db.cachedStatement(sql: "SELECT \(Self.columns) FROM projects"), [])
        }
    }

    /// One writer and one file: all earlier commits are visible.
    public func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] {
        try await readEach(.newestRecords) { db in
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
        try await set(.setTimeZone, of: project, [("timeZone", zone.text.databaseValue)])
    }

    public func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError) {
        try await set(.setProperties, of: project, [("properties", PropertyPath.json(paths).databaseValue)])
    }

    public func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError) {
        try await set(.setVisitorIds, of: project, [("visitorIds", isOn.databaseValue)])
    }

    public func createProject(_ project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool {
        try await write(.createProject) { db in
            try db.cachedStatement(sql: "INSERT INTO projects (project, createdAt) VALUES (CAST(? AS TEXT), ?) ON CONFLICT DO NOTHING")
                .execute(arguments: [SQLiteText(project.name), time.milliseconds])
            return db.changesCount == 1
        }
    }

    public func setTitle(of project: ProjectID, to title: String) async throws(StoreError) {
        try await set(.setTitle, of: project, [("title", SQLiteText(title).databaseValue)])
    }

    public func setArchived(of project: ProjectID, at time: Timestamp?) async throws(StoreError) {
        try await set(.setArchived, of: project, [("archivedAt", (time?.milliseconds).databaseValue)])
    }

    public func setOrigins(of project: ProjectID, to origins: [String]) async throws(StoreError) {
        try await set(.setOrigins, of: project, [("origins", OriginsText.text(origins).databaseValue)])
    }

    public func setRates(of project: ProjectID, to rates: ProjectRates) async throws(StoreError) {
        try await set(
            .setRates, of: project,
            [("requestsPerSecond", rates.requestsPerSecond.databaseValue), ("eventsPerSecond", rates.eventsPerSecond.databaseValue)])
    }

    /// Writes columns of a project's record, and creates the record if it is missing.
    private func set(
        _ operation: StoreOperation, of project: ProjectID, _ values: [(column: String, value: DatabaseValue)]
    ) async throws(StoreError) {
        try await write(operation) { db in
            let columns = values.map { $0.column }.joined(separator: ", ")
            // A text with a NUL is bound as a blob: see SQLiteText.
            let places = (2..<values.count + 2).map { "iif(typeof(?\($0)) = 'blob', CAST(?\($0) AS TEXT), ?\($0))" }
            let arguments: [DatabaseValue] = [SQLiteText(project.name).databaseValue] + values.map { $0.value }
            let updates = values.map { "\($0.column) = excluded.\($0.column)" }.joined(separator: ", ")
            try db.cachedStatement(
                sql: """
                    INSERT INTO projects (project, \(columns)) VALUES (CAST(?1 AS TEXT), \(places.joined(separator: ", ")))
                    ON CONFLICT DO UPDATE SET \(updates)
                    """
            ).execute(arguments: StatementArguments(arguments))
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
        while let row = try rows.next() { records.append(try record(row)) }
        return records
    }

    private static func record(_ row: Row) throws -> ProjectRecord {
        let zone = EventRow.textIfAny(row, 5)
        let properties = (row[6] as String?).map { PropertyPath.list(json: $0) } ?? .some([])
        let origins = (row[12] as String?).map { OriginsText.origins($0) } ?? .some([])
        let rates = ProjectRates(requestsPerSecond: row[13], eventsPerSecond: row[14])
        let record = ProjectRecord(
            project: try (row[0] as SQLiteText).project(), retentionDays: row[1], changedAt: time(row[2]), closedBefore: time(row[3]),
            watermark: time(row[4]), timeZone: zone.flatMap(ZoneName.init), properties: properties ?? [],
            hasVisitorIds: (row[7] as Bool?) ?? false, erasures: row[8], title: EventRow.textIfAny(row, 9), createdAt: time(row[10]),
            archivedAt: time(row[11]), origins: origins ?? [], rates: rates)
        guard record.isValid, (record.timeZone == nil) == (zone == nil), properties != nil, origins != nil else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a project's record cannot be read")
        }
        return record
    }

    static func time(_ milliseconds: Int64?) -> Timestamp? { milliseconds.map(Timestamp.init(milliseconds:)) }
}

/// Origins as a JSON array.
private enum OriginsText {
    static func text(_ origins: [String]) -> String {
        var writer = JSONWriter()
        writer.beginArray()
        for origin in origins { writer.string(origin) }
        writer.endArray()
        return writer.text
    }

    /// `nil` unless it is an array of strings.
    static func origins(_ text: String) -> [String]? { try? JSONDecoder().decode([String].self, from: Data(text.utf8)) }
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
