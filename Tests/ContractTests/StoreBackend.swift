import AnalyticsCore
import Foundation
import TestSupport
import Testing

/// The stores that the contract runs on.
enum StoreBackend: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// The one that other tests use in place of a store.
    case memory
    case sqlite
    case mongodb

    /// Memory and SQLite always, MongoDB where `TEST_MONGODB_URI` says where it is.
    static let available: [StoreBackend] =
        allCases.filter { $0 != .mongodb || ProcessInfo.processInfo.environment["TEST_MONGODB_URI"] != nil }

    var testDescription: String { rawValue }
}

/// Runs `body` on a fresh, empty, prepared store, and removes it afterwards.
func withStore(_ backend: StoreBackend, _ body: (any Store) async throws -> Void) async throws {
    switch backend {
    case .memory: try await body(MemoryStore())
    case .sqlite: try await withSQLiteStore(body)
    case .mongodb: try await withMongoStore(body)
    }
}
