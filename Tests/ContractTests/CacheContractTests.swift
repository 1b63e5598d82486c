import AnalyticsCore
import Testing

/// What every cache promises, on each of them.
@Suite("Cache contract", .timeLimit(.minutes(1)))
struct CacheContractTests {
    @Test("What was never stored is a miss", arguments: CacheBackend.available)
    func missesTheUnknown(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            #expect(await cache.value(for: "unknown") == .miss)
            #expect(await cache.isAvailable())
        }
    }

    @Test("What was stored comes back byte for byte", arguments: CacheBackend.available)
    func returnsTheExactBytes(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            let values: [[UInt8]] = [[], [0], Array(0...255), (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }]
            for (number, value) in values.enumerated() {
                await cache.store(value, for: "key \(number)\r\n\0ü", timeToLive: .seconds(60))
            }
            for (number, value) in values.enumerated() {
                #expect(await cache.value(for: "key \(number)\r\n\0ü") == .hit(value))
            }
        }
    }

    @Test("The last value stored under a key is the one", arguments: CacheBackend.available)
    func replaces(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            await cache.store([1], for: "key", timeToLive: .seconds(60))
            await cache.store([2, 3], for: "key", timeToLive: .seconds(60))
            #expect(await cache.value(for: "key") == .hit([2, 3]))
            #expect(await cache.value(for: "ke") == .miss)
        }
    }

    @Test("A value is gone after its time", arguments: CacheBackend.available)
    func expires(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            await cache.store([1], for: "long", timeToLive: .seconds(60))
            await cache.store([2], for: "short", timeToLive: .milliseconds(30))
            try await eventually("the value expires") { await cache.value(for: "short") == .miss }
            #expect(await cache.value(for: "long") == .hit([1]))
        }
    }

    @Test("A value without a time to live is not kept", arguments: CacheBackend.available)
    func ignoresDeadOnArrival(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            await cache.store([1], for: "key", timeToLive: .zero)
            #expect(await cache.value(for: "key") == .miss)
        }
    }

    @Test("A value over a mebibyte is not kept", arguments: CacheBackend.available)
    func refusesTheHuge(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            await cache.store(Array(repeating: 7, count: 1 << 20), for: "largest", timeToLive: .seconds(60))
            await cache.store(Array(repeating: 7, count: (1 << 20) + 1), for: "larger", timeToLive: .seconds(60))
            #expect(await cache.value(for: "largest") == .hit(Array(repeating: 7, count: 1 << 20)))
            #expect(await cache.value(for: "larger") == .miss)
        }
    }

    @Test("Many tasks at once each get their own value or none", arguments: CacheBackend.available)
    func keepsValuesApart(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<32 {
                    group.addTask {
                        for round in 0..<50 {
                            let value = Array("\(task) \(round)".utf8)
                            await cache.store(value, for: "task \(task)", timeToLive: .seconds(60))
                            let found = await cache.value(for: "task \(task)")
                            // A cache under pressure may give up on a call; it may never answer with another's value.
                            if case .hit(let bytes) = found { try #require(String(decoding: bytes, as: UTF8.self).hasPrefix("\(task) ")) }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
