import AnalyticsCore
import AnalyticsRedis
import Logging
import Synchronization
import TestSupport
import Testing

/// Redis away, stuck or closed to us: slower, never wrong, never long.
@Suite("Redis cache under faults", .serialized, .timeLimit(.minutes(1)), .enabled(if: RedisServer.isInstalled, "no redis-server"))
struct RedisCacheTests {
    @Test("A restarted Redis is used again at once, dead connections or not")
    func survivesRestart() async throws {
        let server = try await RedisServer()
        try await withCache(on: server) { cache in
            try await keep([1], for: "key", in: cache)
            server.kill()
            try await server.start()
            #expect(try await answer(cache, for: "key") == .miss)
        }
    }

    @Test("Killed, it is unavailable at once, and used again when it is back")
    func recovers() async throws {
        let server = try await RedisServer()
        try await withCache(on: server) { cache in
            try await eventually("it is there") { await cache.health() == .up }
            server.kill()
            let elapsed = await ContinuousClock().measure {
                for _ in 0..<1000 { #expect(await cache.value(for: "key") == .unavailable) }
            }
            // A thousand calls that wait are 50 s.
            #expect(elapsed < .seconds(20))
            #expect(await cache.health() != .up)
            try await server.start()
            try await eventually("it is available again") { await cache.health() == .up }
            try await keep([2], for: "key", in: cache)
        }
    }

    @Test("Stopped in mid-flight, every call returns within about 100 ms, and no answer goes to the wrong caller afterwards")
    func returnsInTimeWhileStuck() async throws {
        let server = try await RedisServer()
        try await withCache(on: server) { cache in
            for number in 0..<8 { try await keep([UInt8(number)], for: "key \(number)", in: cache) }
            server.pause()
            let longest = await withTaskGroup(of: Duration.self) { group in
                for number in 0..<32 {
                    group.addTask {
                        var longest = Duration.zero
                        for _ in 0..<20 {
                            let elapsed = await ContinuousClock().measure { _ = await cache.value(for: "key \(number % 8)") }
                            longest = max(longest, elapsed)
                        }
                        return longest
                    }
                }
                return await group.reduce(.zero, max)
            }
            // 100 ms, and what a busy machine adds; Redis itself would answer when it goes on.
            #expect(longest < .seconds(5))
            #expect(await cache.health() != .up)
            server.resume()
            try await eventually("it is available again") { await cache.health() == .up }
            for number in 0..<8 { #expect(try await answer(cache, for: "key \(number)") == .hit([UInt8(number)])) }
        }
    }

    @Test("A wrong password makes it unavailable, and is logged once; the right one works")
    func refusesWrongPassword() async throws {
        let server = try await RedisServer(arguments: ["--requirepass", "right"])
        for wrong in ["wrong", nil] {
            let log = RecordedLog()
            try await withCache(on: server, password: wrong, logger: log.logger) { cache in
                // Over a second: attempts after 100, 300 and 700 ms.
                let end = ContinuousClock.now + .seconds(1)
                try await eventually("a second is over") {
                    #expect(await cache.value(for: "key") == .unavailable)
                    return ContinuousClock.now > end
                }
                #expect(await cache.health() != .up)
            }
            // A connection that takes too long on a busy machine is another one.
            #expect(log.warnings.count { $0.contains("NOAUTH") || $0.contains("WRONGPASS") } == 1, "\(log.warnings)")
        }
        try await withCache(on: server, password: "right") { cache in try await keep([1], for: "key", in: cache) }
    }

    @Test("A Redis that refuses to write still answers reads")
    func readsFromReadOnly() async throws {
        let server = try await RedisServer(arguments: ["--replicaof", "127.0.0.1", "1"])
        try await withCache(on: server) { cache in
            await cache.store([1], for: "key", timeToLive: .seconds(60))
            #expect(try await answer(cache, for: "key") == .miss)
            try await eventually("it is there") { await cache.health() == .up }
        }
    }

    @Test("After shutdown it is unavailable")
    func closes() async throws {
        let server = try await RedisServer()
        let cache = RedisCache(host: "127.0.0.1", port: server.port, password: nil, logger: Logger(label: "test"))
        try await eventually("it is there") { await cache.health() == .up }
        await cache.shutdown()
        #expect(await cache.value(for: "key") == .unavailable)
        await cache.store([1], for: "key", timeToLive: .seconds(60))
    }
}

private func withCache(
    on server: RedisServer, password: String? = nil, logger: Logger = Logger(label: "test"), _ body: (RedisCache) async throws -> Void
) async throws {
    let cache = RedisCache(host: "127.0.0.1", port: server.port, password: password, logger: logger)
    do {
        try await body(cache)
    } catch {
        await cache.shutdown()
        throw error
    }
    await cache.shutdown()
}
