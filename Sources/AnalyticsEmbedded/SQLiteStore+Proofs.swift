public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    public func proofKey(orElse draft: [UInt8]) async throws(StoreError) -> [UInt8] {
        try await write(.proofKey) { db in
            // Not a schema step, as for the identity.
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS proof_key (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL) STRICT;
                    INSERT INTO proof_key VALUES (1, ?) ON CONFLICT DO NOTHING
                    """, arguments: [Data(draft)])
            guard let key = try Data.fetchOne(db, sql: "SELECT value FROM proof_key"), key.count == Proof.keyBytes else {
                throw StoreError(.misconfigured, operation: "proof_key", "the proof key cannot be read")
            }
            return Array(key)
        }
    }
}
