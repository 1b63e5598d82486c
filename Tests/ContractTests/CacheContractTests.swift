import AnalyticsCore
import TestSupport
import Testing

/// What every cache promises, on each of them.
@Suite("Cache contract", .timeLimit(.minutes(1)))
struct CacheContractTests {
    @Test("What was never stored is a miss", arguments: CacheBackend.available)
    func missesTheUnknown(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            #expect(try await answer(cache, for: "unknown") == .miss)
            try await eventually("it is available") { await cache.health() == .up }
        }
    }

    @Test("What was stored comes back byte for byte", arguments: CacheBackend.available)
    func returnsTheExactBytes(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            let values: [[UInt8]] = [[], [0], Array(0...255), (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }]
            for (number, value) in values.enumerated() {
                try await keep(value, for: "key \(number)\r\n\0ü", in: cache)
            }
            for (number, value) in values.enumerated() {
                #expect(try await answer(cache, for: "key \(number)\r\n\0ü") == .hit(value))
            }
        }
    }

    @Test("The last value stored under a key is the one", arguments: CacheBackend.available)
    func replaces(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            try await keep([1], for: "key", in: cache)
            try await keep([2, 3], for: "key", in: cache)
            #expect(try await answer(cache, for: "key") == .hit([2, 3]))
            #expect(try await answer(cache, for: "ke") == .miss)
        }
    }

    @Test("A value is gone after its time", arguments: CacheBackend.available)
    func expires(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            try await keep([1], for: "long", in: cache)
            try await keep([2], for: "short", in: cache, timeToLive: .milliseconds(500))
            try await eventually("the value expires") { await cache.value(for: "short") == .miss }
            #expect(try await answer(cache, for: "long") == .hit([1]))
        }
    }

    @Test("A value without a time to live is not kept", arguments: CacheBackend.available)
    func ignoresDeadOnArrival(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            await cache.store([1], for: "key", timeToLive: .zero)
            let found = try await answer(cache, for: "key")
            #expect(found == .miss)
        }
    }

    @Test("A value over a mebibyte is not kept", arguments: CacheBackend.available)
    func refusesTheHuge(_ backend: CacheBackend) async throws {
        try await withCache(backend) { cache in
            try await keep(Array(repeating: 7, count: 1 << 20), for: "largest", in: cache)
            await cache.store(Array(repeating: 7, count: (1 << 20) + 1), for: "larger", timeToLive: .seconds(60))
            #expect(try await answer(cache, for: "larger") == .miss)
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

/// Stores until it is kept: a cache on a busy machine may give up on a call.
func keep(_ value: [UInt8], for key: String, in cache: any CountCache, timeToLive: Duration = .seconds(60)) async throws {
    try await eventually("the value is kept") {
        await cache.store(value, for: key, timeToLive: timeToLive)
        return await cache.value(for: key) == .hit(value)
    }
}

func answer(_ cache: any CountCache, for key: String) async throws -> CacheLookup {
    var answer = CacheLookup.unavailable
    try await eventually("an answer") {
        answer = await cache.value(for: key)
        return answer != .unavailable
    }
    return answer
}
