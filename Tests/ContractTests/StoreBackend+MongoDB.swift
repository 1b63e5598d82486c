import AnalyticsCore

/// A database of its own, dropped at the end.
func withMongoStore(_ body: (any Store) async throws -> Void) async throws {
    fatalError("not there yet")
}
