import AnalyticsCore
import GRDB

/// The tables of the queue's file, and how a file gets from one version of them to the next.
enum SQLiteQueueSchema {
    /// One step per version, in order; a step that has been released never changes.
    private static let steps = [version1]

    /// The version that this program writes, in `PRAGMA user_version`.
    static var version: Int { steps.count }

    /// Brings the file to ``version``. To be called in a transaction, before anything else is written.
    ///
    /// Throws ``BrokerError/Code/misconfigured`` for a file of a newer version, and leaves it as it is.
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

    /// Files from before versions were written have these tables and version 0.
    ///
    /// `body` is NULL where it is empty: SQLite binds an empty blob as NULL.
    private static let version1 = """
        CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, redeliveries INTEGER NOT NULL, body BLOB);
        CREATE TABLE IF NOT EXISTS deadLetters (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB);
        CREATE TABLE IF NOT EXISTS out (first INTEGER PRIMARY KEY, next INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS openings (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY, filling BLOB);
        """
}
