import AnalyticsCore
import AnalyticsEmbedded
import Synchronization
import Testing

@Suite("Memory cache")
struct MemoryCacheTests {
    @Test("The least recently used goes first when it is full")
    func evicts() async {
        // Room for two entries: each takes its value, twice its key and 160 bytes.
        let cache = MemoryCache(maximumBytes: 2 * (1000 + 2 + 160))
        let value = [UInt8](repeating: 1, count: 1000)
        await cache.store(value, for: "a", timeToLive: .seconds(60))
        await cache.store(value, for: "b", timeToLive: .seconds(60))
        #expect(await cache.value(for: "a") == .hit(value))
        await cache.store(value, for: "c", timeToLive: .seconds(60))
        #expect(await cache.value(for: "b") == .miss)
        #expect(await cache.value(for: "a") == .hit(value))
        #expect(await cache.value(for: "c") == .hit(value))
    }

    @Test("Many small values are bounded as well")
    func boundsSmallValues() async {
        let cache = MemoryCache(maximumBytes: 100 * 170)
        for number in 0..<1000 { await cache.store([1], for: "\(number)", timeToLive: .seconds(60)) }
        var hits = 0
        for number in 0..<1000 where await cache.value(for: "\(number)") == .hit([1]) { hits += 1 }
        #expect((90...105).contains(hits))
        #expect(await cache.value(for: "999") == .hit([1]))
    }

    @Test("A value lasts as long as its time to live, to the moment")
    func expiresByTheClock() async {
        let now = Now()
        let cache = MemoryCache { now.instant }
        await cache.store([1], for: "key", timeToLive: .seconds(10))
        now.advance(.milliseconds(9_999))
        #expect(await cache.value(for: "key") == .hit([1]))
        now.advance(.milliseconds(1))
        #expect(await cache.value(for: "key") == .miss)
    }

    @Test("What is larger than the cache is not kept, and costs nothing else")
    func refusesWhatCannotFit() async {
        let cache = MemoryCache(maximumBytes: 1000)
        await cache.store([1], for: "small", timeToLive: .seconds(60))
        await cache.store([UInt8](repeating: 1, count: 2000), for: "large", timeToLive: .seconds(60))
        #expect(await cache.value(for: "large") == .miss)
        #expect(await cache.value(for: "small") == .hit([1]))
    }
}

/// A clock that a test moves.
final class Now: Sendable {
    private let current = Mutex(ContinuousClock.now)

    var instant: ContinuousClock.Instant { current.withLock { $0 } }
    func advance(_ duration: Duration) { current.withLock { $0 += duration } }
}
