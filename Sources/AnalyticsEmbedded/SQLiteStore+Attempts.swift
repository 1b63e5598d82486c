public import AnalyticsCore
import GRDB

extension SQLiteStore {
    /// How long an attempt is kept, measured by the times of later attempts.
    private static let kept = Duration.seconds(7 * 86_400)

    public func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int {
        try await write(.beginAttempt) { db in
            let attempt: StatementArguments = [SQLiteText(delivery), SQLiteText(process)]
            try db.cachedStatement(
                sql: "INSERT INTO attempts (delivery, process, at) VALUES (CAST(? AS TEXT), CAST(? AS TEXT), ?) ON CONFLICT DO NOTHING"
            ).execute(arguments: attempt + [time.milliseconds])
            try db.cachedStatement(sql: "DELETE FROM attempts WHERE at < ?").execute(arguments: [(time - Self.kept).milliseconds])
            let others = try db.cachedStatement(
                sql: "SELECT count(*) FROM attempts WHERE delivery = CAST(? AS TEXT) AND process <> CAST(? AS TEXT)")
            return try Int.fetchOne(others, arguments: attempt) ?? 0
        }
    }

    public func forgetAttempts(on delivery: String) async throws(StoreError) {
        try await write(.forgetAttempts) { db in
            try db.cachedStatement(sql: "DELETE FROM attempts WHERE delivery = CAST(? AS TEXT)").execute(arguments: [SQLiteText(delivery)])
        }
    }
}
