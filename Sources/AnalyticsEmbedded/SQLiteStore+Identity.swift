public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    /// Identifies this store: a UUID that the first call creates and that never changes. It is on the disk when this returns.
    /// A copy of the file has the same identity. Needs no ``prepare()``.
    public func identity() async throws(StoreError) -> String {
        try await write(.identity) { db in
            // Not a schema step: a program that does not know the table ignores it.
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
