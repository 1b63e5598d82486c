import AnalyticsCore
import AnalyticsEmbedded
import Foundation
import TestSupport

/// A folder of its own, removed at the end.
func withSQLiteStore(_ body: (any Store) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try SQLiteStore(path: folder.appendingPathComponent("events.sqlite").path, logger: quiet)
    try await store.prepare()
    try await body(store)
}
