import AnalyticsCore
import Foundation
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// A database of its own, dropped at the end.
func withMongoStore(_ body: (any Store) async throws -> Void) async throws {
    try await withMongoDatabase { (store: MongoStore) in try await body(store) }
}

/// As ``withMongoStore(_:)``, for what only MongoDB has.
func withMongoDatabase(isPrepared: Bool = true, _ body: (MongoStore) async throws -> Void) async throws {
    let uri = try #require(ProcessInfo.processInfo.environment["TEST_MONGODB_URI"])
    let database = "test_" + UUID().uuidString.prefix(18)
    let store = try MongoStore(uri: uri, database: database, poolSize: 4, logger: quiet)
    do {
        if isPrepared { try await store.prepare() }
        try await body(store)
    } catch {
        try? await store.dropDatabase()
        await store.shutdown()
        throw error
    }
    try await store.dropDatabase()
    await store.shutdown()
}
