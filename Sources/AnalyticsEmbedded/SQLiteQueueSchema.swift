import AnalyticsCore
import GRDB

/// The tables of the queue's file, and the migrations between versions.
enum SQLiteQueueSchema {
    /// One step per version, in order. A released step never changes.
    private static let steps = [version1]

    /// The version that this program writes, in `PRAGMA user_version`.
    static var version: Int { steps.count }

    /// Upgrades the file to ``version``. Call it in a transaction, before any other write.
    ///
    /// Throws ``BrokerError/Code/misconfigured`` for a file of a newer version and leaves it unchanged.
    static func prepare(_ db: Database) throws {
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard (0...version).contains(found) else {
            throw BrokerError(
                .misconfigured,
                "the queue has format version \(found), this program knows versions up to \(version): start a newer one")
        }
        guard found < version else { return }
        for step in steps[found...] { try db.execute(sql: step) }
        try db.execute(sql: "PRAGMA user_version = \(version)")
    }

    /// Files without a version number have these tables and version 0.
    ///
    /// An empty `body` is NULL: SQLite binds an empty blob as NULL.
    private static let version1 = """
        CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, redeliveries INTEGER NOT NULL, body BLOB);
        CREATE TABLE IF NOT EXISTS deadLetters (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB);
        CREATE TABLE IF NOT EXISTS out (first INTEGER PRIMARY KEY, next INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS openings (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY, filling BLOB);
        """
}
