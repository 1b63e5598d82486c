public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    public func erasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await erasures(.erasures, of: project)
    }

    /// One writer and one file: all earlier commits are visible.
    public func newestErasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await erasures(.newestErasures, of: project)
    }

    private func erasures(_ operation: StoreOperation, of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await read(operation) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT id, revision, bytes FROM erasures WHERE project = CAST(? AS TEXT) ORDER BY id")
            var erasures: [StoredErasure] = []
            let rows = try Row.fetchCursor(statement, arguments: [SQLiteText(project.name)])
            while let row = try rows.next() {
                let bytes = try row.withUnsafeData(atIndex: 2) { $0.map { Array($0) } ?? [] }
                erasures.append(StoredErasure(project: project, id: EventRow.text(row, 0), revision: row[1], bytes: bytes))
            }
            return erasures
        }
    }

    public func writeErasure(_ erasure: StoredErasure, replacing revision: Int64) async throws(StoreError) -> Bool {
        try await write(.writeErasure) { db in
            let arguments: StatementArguments = [
                erasure.revision, Data(erasure.bytes), SQLiteText(erasure.project.name), SQLiteText(erasure.id),
            ]
            if revision == 0 {
                try db.cachedStatement(
                    sql: """
                        INSERT INTO erasures (revision, bytes, project, id) VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT))
                        ON CONFLICT DO NOTHING
                        """
                ).execute(arguments: arguments)
            } else {
                try db.cachedStatement(
                    sql: """
                        UPDATE erasures SET revision = ?, bytes = ?
                        WHERE project = CAST(? AS TEXT) AND id = CAST(? AS TEXT) AND revision = ?
                        """
                ).execute(arguments: arguments + [revision])
            }
            return db.changesCount == 1
        }
    }

    public func announceErasure(of project: ProjectID) async throws(StoreError) {
        try await write(.announceErasure) { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO projects (project, erasures) VALUES (CAST(? AS TEXT), 1)
                    ON CONFLICT DO UPDATE SET erasures = erasures + 1
                    """
            ).execute(arguments: [SQLiteText(project.name)])
        }
    }

    public func remove(_ events: [Event]) async throws(StoreError) -> Int {
        guard !events.isEmpty else { return 0 }
        return try await write(.remove) { db in
            let statement = try db.cachedStatement(
                sql: "DELETE FROM events WHERE project = CAST(? AS TEXT) AND id = CAST(? AS TEXT) AND receipt = CAST(? AS TEXT)")
            var count = 0
            for event in events {
                try statement.execute(arguments: [SQLiteText(event.project.name), SQLiteText(event.id), SQLiteText(event.ingestID)])
                count += db.changesCount
            }
            return count
        }
    }

    /// Attempts to truncate the log while readers are active.
    private static let truncations = 5

    /// SQLite moves rows between pages without overwriting the old copies; `secure_delete` overwrites only deleted rows. So the whole file
    /// is rewritten (https://www.sqlite.org/lang_vacuum.html), checkpointed, and the log is truncated. Readers continue meanwhile, other
    /// writers wait.
    public func overwriteDeleted() async throws(StoreError) {
        try await unlogged(.overwriteDeleted) { db in try db.execute(sql: "VACUUM; PRAGMA wal_checkpoint(PASSIVE)") }
        for _ in 0..<Self.truncations {
            if try await unlogged(.overwriteDeleted, Self.truncate) { return }
            // A reader holds the log.
            try? await Task.sleep(for: .seconds(1))
        }
        guard try await alone(.overwriteDeleted, Self.truncate) else {
            throw StoreError(.unavailable, operation: "overwrite_deleted", "readers of another process hold the log")
        }
    }

    private static let truncate: @Sendable (Database) throws -> Bool = { db in
        try Int.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)") == 0
    }
}
