import AnalyticsCore

/// A folder of its own, removed at the end.
func withSQLiteStore(_ body: (any Store) async throws -> Void) async throws {
    fatalError("not there yet")
}
