public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    /// What tells this store from all others: a UUID that is drawn when it is first asked for, and stays. On the disk when this returns.
    /// A copy of the file has the same. Needs no ``prepare()``.
    public func identity() async throws(StoreError) -> String {
        try await write(.identity) { db in
            // No step of the schema: a program that does not know the table leaves it alone.
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS identity (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL) STRICT;
                    INSERT INTO identity VALUES (1, ?) ON CONFLICT DO NOTHING
                    """, arguments: [UUID().uuidString])
            guard let value = try String.fetchOne(db, sql: "SELECT value FROM identity"), let identity = UUID(uuidString: value) else {
                throw StoreError(.misconfigured, operation: "identity", "the store's identity cannot be read")
            }
            return identity.uuidString
        }
    }
}
