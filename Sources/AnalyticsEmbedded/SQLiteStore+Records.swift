public import AnalyticsCore
import Foundation
import GRDB

// GRDB has a `Record` too.
extension SQLiteStore {
    /// One writer and one file: all earlier commits are visible.
    public func record(_ kind: AnalyticsCore.Record.Kind, _ id: String) async throws(StoreError) -> AnalyticsCore.Record? {
        try await readKeys(.record) { db in try Self.storedRecord(db, kind, id) }
    }

    public func records(
        _ kind: AnalyticsCore.Record.Kind, of owner: String?, before id: String?, limit: Int
    ) async throws(StoreError) -> [AnalyticsCore.Record] {
        guard limit > 0 else { return [] }
        return try await read(.records) { db in
            var clauses = ""
            var arguments: StatementArguments = []
            if let owner {
                clauses += "AND owner = CAST(? AS TEXT) "
                arguments += [SQLiteText(owner)]
            }
            if let id {
                clauses += "AND id < CAST(? AS TEXT) "
                arguments += [SQLiteText(id)]
            }
            arguments += [min(limit, AnalyticsCore.Record.longestList)]
            return try Self.storedRecords(db, kind, clauses + "ORDER BY id DESC LIMIT ?", arguments)
        }
    }

    public func write(_ record: AnalyticsCore.Record) async throws(StoreError) -> Bool {
        try record.checkValid()
        return try await write(.writeRecord) { db in
            let arguments: StatementArguments = [
                record.kind.rawValue, record.id, record.owner, record.revision, record.expiresAt?.milliseconds, Data(record.body),
            ]
            if record.revision == 1 {
                try db.cachedStatement(
                    sql: "INSERT INTO records (kind, id, owner, revision, expiresAt, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
                ).execute(arguments: arguments)
            } else {
                try db.cachedStatement(
                    sql: """
                        UPDATE records SET owner = ?3, revision = ?4, expiresAt = ?5, body = ?6
                        WHERE kind = ?1 AND id = ?2 AND revision = ?4 - 1
                        """
                ).execute(arguments: arguments)
            }
            if db.changesCount == 1 { return true }
            return try Self.storedRecord(db, record.kind, record.id) == record
        }
    }

    public func removeRecords(_ kind: AnalyticsCore.Record.Kind, _ ids: [String]) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        try await write(.removeRecords) { db in
            let statement = try db.cachedStatement(sql: "DELETE FROM records WHERE kind = ? AND id = CAST(? AS TEXT)")
            for id in ids { try statement.execute(arguments: [kind.rawValue, SQLiteText(id)]) }
        }
    }

    public func removeExpiredRecords(at time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        guard limit > 0 else { return 0 }
        return try await write(.removeExpiredRecords) { db in
            try db.cachedStatement(
                sql: """
                    DELETE FROM records WHERE (kind, id) IN (
                        SELECT kind, id FROM records WHERE expiresAt <= ? ORDER BY expiresAt LIMIT ?)
                    """
            ).execute(arguments: [time.milliseconds, min(limit, AnalyticsCore.Record.longestList)])
            return db.changesCount
        }
    }

    private static func storedRecord(
        _ db: Database, _ kind: AnalyticsCore.Record.Kind, _ id: String
    ) throws -> AnalyticsCore.Record? {
        try storedRecords(db, kind, "AND id = CAST(? AS TEXT)", [SQLiteText(id)]).first
    }

    private static func storedRecords(
        _ db: Database, _ kind: AnalyticsCore.Record.Kind, _ clauses: String, _ rest: StatementArguments
    ) throws -> [AnalyticsCore.Record] {
        let statement = try db.cachedStatement(
            sql: "SELECT id, owner, revision, expiresAt, body FROM records WHERE kind = ? \(clauses)")
        var arguments: StatementArguments = [kind.rawValue]
        arguments += rest
        var records: [AnalyticsCore.Record] = []
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() {
            let body = try row.withUnsafeData(atIndex: 4) { $0.map { Array($0) } ?? [] }
            let record = AnalyticsCore.Record(
                kind: kind, id: EventRow.text(row, 0), owner: EventRow.text(row, 1), revision: row[2], expiresAt: time(row[3]), body: body)
            guard record.isValid else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a record cannot be read") }
            records.append(record)
        }
        return records
    }
}
