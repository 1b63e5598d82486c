public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    private static let columns = """
        id, digest, project, scope, name, prefix, maker, createdAt, expiresAt, revokedAt, lastUsedAt, requestsPerSecond, eventsPerSecond
        """

    public func createKey(_ key: StoredKey) async throws(StoreError) {
        try await write(.createKey) { db in
            try Self.closeAnonymousAccess(db, at: key.createdAt)
            try db.cachedStatement(
                sql: """
                    INSERT INTO keys (\(Self.columns))
                    VALUES (CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO NOTHING
                    """
            ).execute(arguments: [
                SQLiteText(key.id), Data(key.digest.bytes), SQLiteText(key.project.name), key.scope.rawValue, SQLiteText(key.name),
                SQLiteText(key.prefix), SQLiteText(key.maker), key.createdAt.milliseconds, key.expiresAt?.milliseconds,
                key.revokedAt?.milliseconds, key.lastUsedAt?.milliseconds, key.rates.requestsPerSecond, key.rates.eventsPerSecond,
            ])
        }
    }

    /// One writer and one file: all earlier commits are visible.
    public func key(_ id: String) async throws(StoreError) -> StoredKey? {
        try await readKeys(.key) { db in try Self.storedKeys(db, "WHERE id = CAST(? AS TEXT)", [SQLiteText(id)]).first }
    }

    public func keys(of project: ProjectID?) async throws(StoreError) -> [StoredKey] {
        try await read(.keys) { db in
            guard let project else { return try Self.storedKeys(db, "ORDER BY createdAt, id", []) }
            return try Self.storedKeys(db, "WHERE project = CAST(? AS TEXT) ORDER BY createdAt, id", [SQLiteText(project.name)])
        }
    }

    public func revokeKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try await set(.revokeKey, "revokedAt", [id: time], where: "revokedAt IS NULL")
    }

    public func expireKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try await set(.expireKey, "expiresAt", [id: time], where: "expiresAt IS NULL OR expiresAt > ?2")
    }

    public func removeKeys(_ ids: [String]) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        try await write(.removeKeys) { db in
            let statement = try db.cachedStatement(sql: "DELETE FROM keys WHERE id = CAST(? AS TEXT)")
            for id in ids { try statement.execute(arguments: [SQLiteText(id)]) }
        }
    }

    public func recordKeyUses(_ uses: [String: Timestamp]) async throws(StoreError) {
        try await set(.recordKeyUses, "lastUsedAt", uses, where: "lastUsedAt IS NULL OR lastUsedAt < ?2")
    }

    public func closeAnonymousAccess(at time: Timestamp) async throws(StoreError) {
        try await write(.closeAnonymousAccess) { db in try Self.closeAnonymousAccess(db, at: time) }
    }

    private static func closeAnonymousAccess(_ db: Database, at time: Timestamp) throws {
        try db.cachedStatement(sql: "INSERT INTO access (id, closedAt) VALUES (1, ?) ON CONFLICT DO NOTHING")
            .execute(arguments: [time.milliseconds])
    }

    public func isAnonymousAccessClosed() async throws(StoreError) -> Bool {
        try await readKeys(.anonymousAccess) { db in
            try Bool.fetchOne(db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM access)")) ?? false
        }
    }

    /// Writes a time of the keys with these ids, if the condition holds, in which `?2` is the time.
    private func set(
        _ operation: StoreOperation, _ column: String, _ times: [String: Timestamp], where condition: String
    ) async throws(StoreError) {
        guard !times.isEmpty else { return }
        try await write(operation) { db in
            let update = try db.cachedStatement(sql: "UPDATE keys SET \(column) = ?2 WHERE id = CAST(?1 AS TEXT) AND (\(condition))")
            for (id, time) in times { try update.execute(arguments: [SQLiteText(id), time.milliseconds]) }
        }
    }

    private static func storedKeys(_ db: Database, _ clauses: String, _ arguments: StatementArguments) throws -> [StoredKey] {
        let damage = DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a key cannot be read")
        var keys: [StoredKey] = []
        let rows = try Row.fetchCursor(db.cachedStatement(sql: "SELECT \(columns) FROM keys \(clauses)"), arguments: arguments)
        while let row = try rows.next() {
            let bytes = try row.withUnsafeData(atIndex: 1) { $0.map { Array($0) } ?? [] }
            guard let digest = KeyDigest(bytes: bytes), let scope = Scope(rawValue: EventRow.text(row, 3)) else { throw damage }
            let key = StoredKey(
                digest: digest, project: try (row[2] as SQLiteText).project(), scope: scope, name: EventRow.text(row, 4),
                prefix: EventRow.text(row, 5), maker: EventRow.text(row, 6),
                rates: ProjectRates(requestsPerSecond: row[11], eventsPerSecond: row[12]), createdAt: Timestamp(milliseconds: row[7]),
                expiresAt: time(row[8]), revokedAt: time(row[9]), lastUsedAt: time(row[10]))
            guard key.isValid, key.id.equalsUTF8(EventRow.text(row, 0)) else { throw damage }
            keys.append(key)
        }
        return keys
    }
}
