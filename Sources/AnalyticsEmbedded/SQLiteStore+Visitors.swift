public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    public func visitorSecret(of day: Int64, orElse drawn: [UInt8]) async throws(StoreError) -> [UInt8] {
        try await write(.visitorSecret) { db in
            try db.cachedStatement(sql: "INSERT INTO visitor_secrets (day, secret) VALUES (?, ?) ON CONFLICT DO NOTHING")
                .execute(arguments: [day, Data(drawn)])
            let stored = try Data.fetchOne(db.cachedStatement(sql: "SELECT secret FROM visitor_secrets WHERE day = ?"), arguments: [day])
            guard let stored else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a secret is missing after it was written")
            }
            return Array(stored)
        }
    }

    public func deleteVisitorSecrets(before day: Int64) async throws(StoreError) {
        try await write(.visitorSecret) { db in
            // A deleted row's bytes would stay in the file until their space is reused.
            try db.cachedStatement(sql: "UPDATE visitor_secrets SET secret = zeroblob(length(secret)) WHERE day < ?").execute(arguments: [
                day
            ])
            try db.cachedStatement(sql: "DELETE FROM visitor_secrets WHERE day < ?").execute(arguments: [day])
        }
    }
}
