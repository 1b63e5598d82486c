import AnalyticsCore
import AnalyticsEmbedded
import AnalyticsRedis
import Foundation
import Logging
import Testing

/// The adapters that the cache contract runs on.
enum CacheBackend: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case redis

    /// Memory always; Redis where TEST_REDIS_HOST and TEST_REDIS_PORT say where it is.
    static let available: [CacheBackend] = allCases.filter { $0 != .redis || RedisAddress.shared != nil }

    var testDescription: String { rawValue }
}

/// The Redis that the tests may use; every key that they write carries a prefix of its own.
struct RedisAddress {
    var host: String
    var port: Int

    static let shared: RedisAddress? = {
        let environment = ProcessInfo.processInfo.environment
        guard let host = environment["TEST_REDIS_HOST"], let port = environment["TEST_REDIS_PORT"].flatMap(Int.init) else { return nil }
        return RedisAddress(host: host, port: port)
    }()
}

/// Runs `body` with an empty cache.
func withCache(_ backend: CacheBackend, _ body: (any CountCache) async throws -> Void) async throws {
    switch backend {
    case .memory:
        try await body(MemoryCache())
    case .redis:
        let address = try #require(RedisAddress.shared)
        let cache = RedisCache(
            host: address.host, port: address.port, password: nil, keyPrefix: "test:\(UUID().uuidString):", logger: Logger(label: "test"))
        do {
            try await body(cache)
        } catch {
            await cache.shutdown()
            throw error
        }
        await cache.shutdown()
    }
}
