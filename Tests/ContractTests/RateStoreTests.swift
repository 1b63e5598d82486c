import AnalyticsCore
import AnalyticsRedis
import Logging
import TestSupport
import Testing

/// Shared rates on Redis: its own clock, bytes that others have written, and outages.
@Suite("Rates on Redis", .serialized, .timeLimit(.minutes(1)), .enabled(if: RedisServer.isInstalled, "no redis-server"))
struct RateStoreTests {
    private static func request(_ least: Int, _ most: Int? = nil, rate: Int, of bucket: String = "shop:events") -> TokenRequest {
        TokenRequest(bucket: bucket, rate: rate, least: least, most: most ?? least)
    }

    /// A lease, however busy the machine is.
    private static func lease(_ request: TokenRequest, from cache: RedisCache) async throws -> TokenLease {
        var lease: TokenLease?
        try await eventually("Redis answers") {
            lease = await cache.lease(request)
            return lease != nil
        }
        return try #require(lease)
    }

    private func withCaches(_ count: Int, on server: RedisServer, _ body: ([RedisCache]) async throws -> Void) async throws {
        let caches = (0..<count).map { _ in
            RedisCache(host: "127.0.0.1", port: server.port, password: nil, logger: Logger(label: "test"))
        }
        let result: Result<Void, any Error>
        do { result = .success(try await body(caches)) } catch { result = .failure(error) }
        for cache in caches { await cache.shutdown() }
        try result.get()
    }

    @Test("A bucket is full at first, gives what it has, and fills up in its own time")
    func fills() async throws {
        let server = try await RedisServer()
        try await withCaches(1, on: server) { caches in
            let start = ContinuousClock.now
            let first = try await Self.lease(Self.request(1, 4, rate: 3), from: caches[0])
            // A call whose answer came too late has taken some.
            #expect((1...3).contains(first.granted) && first.fullIn > .zero && first.fullIn <= .seconds(1))
            let second = try await Self.lease(Self.request(3, rate: 3), from: caches[0])
            let isSlow = ContinuousClock.now - start > .milliseconds(300)
            #expect(isSlow || second.granted == 0 && second.fullIn > .zero && second.fullIn <= .seconds(1))
            try await eventually("it is full again") { await caches[0].lease(Self.request(3, rate: 3))?.granted == 3 }
        }
    }

    @Test("More than a bucket holds is given when it is full, and the debt is at most a minute")
    func debts() async throws {
        let server = try await RedisServer()
        try await withCaches(2, on: server) { caches in
            let large = Self.request(1_000_000, rate: 10)
            try await eventually("it is given") { await caches[0].lease(large)?.granted == 1_000_000 }
            let other = try await Self.lease(Self.request(1, rate: 10), from: caches[1])
            #expect(other.granted == 0 && other.fullIn > .seconds(30) && other.fullIn <= .seconds(61))
            let own = try await Self.lease(Self.request(1, rate: 10, of: "blog:events"), from: caches[1])
            #expect(own.granted == 1, "another bucket has no debt")
        }
    }

    @Test("However many ask, no more is given than comes in the time", arguments: [50, 2_000, 10_000_000])
    func sharesOneBucket(rate: Int) async throws {
        let server = try await RedisServer()
        try await withCaches(3, on: server) { caches in
            let start = ContinuousClock.now
            let granted = await withTaskGroup(of: Int.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        var granted = 0
                        for _ in 0..<60 {
                            let request = Self.request(1, 1 + (number * 7) % (rate / 10), rate: rate)
                            granted += await caches[number % 3].lease(request)?.granted ?? 0
                        }
                        return granted
                    }
                }
                return await group.reduce(0, +)
            }
            let time = ContinuousClock.now - start
            #expect(granted > 0 && Double(granted) <= Double(rate) * (1 + time / Duration.seconds(1)) + 10)
        }
    }

    @Test("What others write under its key is no more than a bucket can be", arguments: ["", "x", "nan", "-inf", "-1e300", "0x10", "1\0"])
    func readsForeignBytes(text: String) async throws {
        let server = try await RedisServer()
        try await withCaches(1, on: server) { caches in
            try await keep(Array(text.utf8), for: "rate:shop:events", in: caches[0])
            let lease = try await Self.lease(Self.request(1, 10, rate: 100), from: caches[0])
            #expect(lease.granted == 10, "a full bucket")
        }
    }

    @Test("A bucket that is full in a thousand years is full in a minute", arguments: ["inf", "1e300", "99999999999999999"])
    func cutsForeignTimes(text: String) async throws {
        let server = try await RedisServer()
        try await withCaches(1, on: server) { caches in
            try await keep(Array(text.utf8), for: "rate:shop:events", in: caches[0])
            let lease = try await Self.lease(Self.request(1, rate: 100), from: caches[0])
            #expect(lease.granted == 0 && lease.fullIn == .seconds(61))
        }
    }

    @Test("A bucket's key is gone when the bucket is full")
    func expires() async throws {
        let server = try await RedisServer()
        try await withCaches(1, on: server) { caches in
            #expect(try await Self.lease(Self.request(1, rate: 2), from: caches[0]).granted == 1)
            try await eventually("the key expires") { await caches[0].value(for: "rate:shop:events") == .miss }
        }
    }

    @Test("Down or stuck, there is no lease, and soon; back, there is one")
    func outlivesOutages() async throws {
        let server = try await RedisServer()
        try await withCaches(1, on: server) { caches in
            _ = try await Self.lease(Self.request(1, rate: 100), from: caches[0])
            server.pause()
            let stuck = await ContinuousClock().measure {
                for _ in 0..<20 { #expect(await caches[0].lease(Self.request(1, rate: 100)) == nil) }
            }
            // Twenty calls that wait are 2 s; a busy machine adds to that.
            #expect(stuck < .seconds(5))
            server.resume()
            _ = try await Self.lease(Self.request(1, rate: 100), from: caches[0])
            server.kill()
            let down = await ContinuousClock().measure {
                for _ in 0..<1_000 { #expect(await caches[0].lease(Self.request(1, rate: 100)) == nil) }
            }
            #expect(down < .seconds(20))
            try await server.start()
            let lease = try await Self.lease(Self.request(1, rate: 100), from: caches[0])
            #expect(lease.granted == 1)
        }
    }

    @Test("A Redis that refuses to write gives no lease")
    func readsFromReadOnly() async throws {
        let server = try await RedisServer(arguments: ["--replicaof", "127.0.0.1", "1"])
        try await withCaches(1, on: server) { caches in
            try await eventually("it is there") { await caches[0].health() == .up }
            #expect(await caches[0].lease(Self.request(1, rate: 100)) == nil)
        }
    }
}
