import TestSupport
import Testing

@testable import AnalyticsCore

struct KeyCacheTests {
    private static let down = StoreError(.unavailable, operation: "key", "down")

    private let stored = StoredKey(number: 1)
    private var digest: KeyDigest { stored.digest }

    /// A cache that has read the key at zero.
    private func known() -> KeyCache {
        var cache = KeyCache()
        #expect(cache.look(up: digest, from: "a", at: .zero) == .read)
        cache.finish(digest, .success(stored), begun: .zero, at: .zero)
        return cache
    }

    @Test func aStateIsUsedFor15SecondsFromTheBeginningOfItsRead() {
        var cache = KeyCache()
        #expect(cache.look(up: digest, from: "a", at: .seconds(5)) == .read)
        cache.finish(digest, .success(stored), begun: .seconds(5), at: .seconds(6))
        let last = Duration.seconds(20) - .nanoseconds(1)
        #expect(cache.look(up: digest, from: "a", at: last) == .answer(.key(stored, isStale: false)))
        #expect(cache.look(up: digest, from: "a", at: .seconds(20)) == .read)
        #expect(cache.look(up: digest, from: "a", at: .seconds(20)) == .wait)
    }

    @Test func aKeyThatDoesNotExistIsRememberedAsLong() {
        var cache = KeyCache()
        #expect(cache.look(up: digest, from: "a", at: .zero) == .read)
        cache.finish(digest, .success(nil), begun: .zero, at: .zero)
        #expect(cache.look(up: digest, from: "a", at: .seconds(14)) == .answer(.key(nil, isStale: false)))
        #expect(cache.look(up: digest, from: "a", at: .seconds(15)) == .read)
        cache.finish(digest, .success(stored), begun: .seconds(15), at: .seconds(15))
        #expect(cache.look(up: digest, from: "a", at: .seconds(16)) == .answer(.key(stored, isStale: false)))
    }

    @Test func aKeyThatTheStoreNoLongerHasIsUnknown() {
        var cache = known()
        #expect(cache.look(up: digest, from: "a", at: .seconds(15)) == .read)
        cache.finish(digest, .success(nil), begun: .seconds(15), at: .seconds(15))
        #expect(cache.look(up: digest, from: "a", at: .seconds(16)) == .answer(.key(nil, isStale: false)))
    }

    @Test func aKeyWithTheSameIdAndAnotherDigestIsNotTheKey() throws {
        var bytes = digest.bytes
        bytes[KeyDigest.byteCount - 1] ^= 1
        let other = try #require(KeyDigest(bytes: bytes))
        #expect(other.keyID == stored.id)
        var cache = KeyCache()
        #expect(cache.look(up: other, from: "a", at: .zero) == .read)
        cache.finish(other, .success(stored), begun: .zero, at: .zero)
        #expect(cache.look(up: other, from: "a", at: .zero) == .answer(.key(nil, isStale: false)))
    }

    // MARK: Limits

    @Test func unknownKeysNeverDisplaceOneThatExists() {
        var cache = known()
        var now = Duration.zero
        for number in 0..<KeyCache.maximumKeys + 10 {
            now += .milliseconds(13)
            let unknown = KeyDigest(1_000 + number)
            #expect(cache.look(up: unknown, from: "10.0.\(number / 250 % 250).\(number % 250)", at: now) == .read)
            cache.finish(unknown, .success(nil), begun: now, at: now)
        }
        #expect(cache.lastAnswer(of: digest, at: now) == .key(stored, isStale: true))
        #expect(cache.lastAnswer(of: KeyDigest(1_000), at: now) == .unavailable, "the first of the unknown ones is forgotten")
    }

    @Test func ofMoreKeysThanTheLimitTheLeastRecentlyUsedIsForgotten() {
        var cache = known()
        cache.take((2...KeyCache.maximumKeys).map { StoredKey(number: $0) }, readAt: .zero)
        _ = cache.look(up: digest, from: "a", at: .zero)
        cache.take([StoredKey(number: 0)], readAt: .zero)
        #expect(cache.lastAnswer(of: KeyDigest(2), at: .zero) == .unavailable)
        for number in [0, 1, 3, KeyCache.maximumKeys] {
            #expect(cache.lastAnswer(of: KeyDigest(number), at: .zero) == .key(StoredKey(number: number), isStale: false))
        }
    }

    @Test func ofOnePeerTwentyUnknownKeysAreReadAndThenTenPerSecond() {
        var cache = KeyCache()
        var reads = 0
        for number in 0..<1_000 {
            let now = Duration.milliseconds(number * 10)
            switch cache.look(up: KeyDigest(number), from: "192.0.2.1", at: now) {
            case .read:
                reads += 1
                cache.finish(KeyDigest(number), .success(nil), begun: now, at: now)
            case .answer(.tooManyUnknown(let retryAfter)): #expect(retryAfter > .zero && retryAfter <= .milliseconds(100))
            default: Issue.record("neither read nor refused")
            }
        }
        #expect(reads == 20 + 99)
        #expect(cache.look(up: KeyDigest(5_000), from: "192.0.2.2", at: .seconds(10)) == .read, "another peer is not limited")
    }

    @Test func theAddressesOfOneIPv6NetworkAreOnePeer() {
        var cache = KeyCache()
        var reads: [Int] = []
        // The second that passes gives this peer ten more, and all together twenty.
        for (number, second) in (0..<100).map({ ($0, $0 / 50) }) {
            let step = cache.look(up: KeyDigest(number), from: "2001:db8::\(number + 1)", at: .seconds(second))
            if step == .read { reads.append(number) }
        }
        #expect(reads == Array(0..<20) + Array(50..<60))
        #expect(cache.look(up: KeyDigest(100), from: "2001:db8:0:1::1", at: .seconds(1)) == .read)
    }

    /// 5,000 per second for ten seconds, from as many peers.
    @Test func inNoSecondAreMoreThanAHundredUnknownKeysRead() {
        var cache = known()
        var times: [Duration] = []
        for number in 0..<50_000 {
            let now = Duration.microseconds(number * 200)
            let wrong = KeyDigest(1_000 + number)
            if cache.look(up: wrong, from: "10.0.\(number / 250 % 250).\(number % 250)", at: now) == .read {
                times.append(now)
                cache.finish(wrong, .success(nil), begun: now, at: now)
            }
            guard number.isMultiple(of: 100) else { continue }
            switch cache.look(up: digest, from: "10.0.0.1", at: now) {
            case .answer(.key(let key, isStale: false)): #expect(key == stored)
            case .read: cache.finish(digest, .success(stored), begun: now, at: now)
            default: Issue.record("a key that exists is refused")
            }
        }
        #expect(times.count > 700)
        #expect(zip(times, times.dropFirst(100)).allSatisfy { $1 - $0 >= .seconds(1) })
    }

    @Test func whoWaitsForTheSameReadCostsNothing() {
        var cache = KeyCache()
        #expect(cache.look(up: digest, from: "a", at: .zero) == .read)
        for _ in 0..<1_000 { #expect(cache.look(up: digest, from: "a", at: .zero) == .wait) }
        #expect(cache.look(up: KeyDigest(2), from: "a", at: .zero) == .read)
    }

    // MARK: Without the store

    @Test func aKnownKeyStaysInUseForAnHour() {
        var cache = known()
        var now = Duration.seconds(15)
        while now <= .seconds(3_600) {
            #expect(cache.look(up: digest, from: "a", at: now) == .read)
            cache.finish(digest, .failure(Self.down), begun: now, at: now)
            #expect(cache.lastAnswer(of: digest, at: now) == .key(stored, isStale: true))
            if now < .seconds(3_600) {
                let later = now + .milliseconds(999)
                #expect(cache.look(up: digest, from: "a", at: later) == .answer(.key(stored, isStale: true)))
            }
            now += .seconds(1)
        }
        #expect(cache.lastAnswer(of: digest, at: .seconds(3_600) + .nanoseconds(1)) == .unavailable)
        #expect(cache.look(up: digest, from: "a", at: now) == .read, "it is still tried")
        cache.finish(digest, .success(stored), begun: now, at: now)
        #expect(cache.look(up: digest, from: "a", at: now) == .answer(.key(stored, isStale: false)))
    }

    @Test func whileOneTriesAgainTheOthersDoNotWait() {
        var cache = known()
        #expect(cache.look(up: digest, from: "a", at: .seconds(15)) == .read)
        cache.finish(digest, .failure(Self.down), begun: .seconds(15), at: .seconds(17))
        #expect(cache.look(up: digest, from: "a", at: .seconds(18)) == .read)
        #expect(cache.look(up: digest, from: "a", at: .seconds(19)) == .answer(.key(stored, isStale: true)))
        cache.finish(digest, .success(stored), begun: .seconds(18), at: .seconds(19))
        #expect(cache.look(up: digest, from: "a", at: .seconds(19)) == .answer(.key(stored, isStale: false)))
    }

    @Test func anUnknownKeyIsNotReadForASecondAndCostsNothing() {
        var cache = KeyCache()
        #expect(cache.look(up: digest, from: "a", at: .zero) == .read)
        cache.finish(digest, .failure(Self.down), begun: .zero, at: .zero)
        #expect(cache.lastAnswer(of: digest, at: .zero) == .unavailable)
        for _ in 0..<1_000 { #expect(cache.look(up: digest, from: "a", at: .milliseconds(999)) == .answer(.unavailable)) }
        #expect(cache.look(up: digest, from: "a", at: .seconds(1)) == .read)
    }

    @Test func aReadThatSucceedsEndsThePause() {
        var cache = known()
        #expect(cache.look(up: KeyDigest(2), from: "a", at: .seconds(14)) == .read)
        #expect(cache.look(up: digest, from: "a", at: .seconds(15)) == .read)
        cache.finish(digest, .failure(Self.down), begun: .seconds(15), at: .seconds(15))
        #expect(cache.look(up: KeyDigest(3), from: "a", at: .seconds(15)) == .answer(.unavailable))
        cache.finish(KeyDigest(2), .success(nil), begun: .seconds(14), at: .seconds(15))
        #expect(cache.look(up: KeyDigest(3), from: "a", at: .seconds(15)) == .read)
    }

    // MARK: Uses

    @Test func aUseIsNotedOncePerHour() {
        var cache = known()
        cache.use(digest, in: noon)
        cache.use(digest, in: noon)
        #expect(cache.takeUses() == [stored.id: noon])
        #expect(cache.takeUses() == [:])
        // The store may not show the use yet.
        #expect(cache.look(up: digest, from: "a", at: .seconds(15)) == .read)
        cache.finish(digest, .success(stored), begun: .seconds(15), at: .seconds(15))
        cache.use(digest, in: noon)
        #expect(cache.takeUses() == [:])
        cache.use(digest, in: noon + .seconds(3_600))
        cache.use(digest, in: noon)
        #expect(cache.takeUses() == [stored.id: noon + .seconds(3_600)])
    }

    @Test func usesThatAreNotWrittenAreBoundedAndNotLost() {
        var cache = KeyCache()
        let count = KeyCache.maximumUses
        cache.take((0..<count).map { StoredKey(number: $0) }, readAt: .zero)
        for number in 0..<count { cache.use(KeyDigest(number), in: noon) }
        let first = cache.takeUses()
        #expect(first.count == KeyCache.usesAtATime)
        cache.putBack(first)
        cache.use(KeyDigest(0), in: noon + .seconds(3_600))
        var written: [String: Timestamp] = [:]
        while true {
            let uses = cache.takeUses()
            if uses.isEmpty { break }
            written.merge(uses) { max($0, $1) }
        }
        #expect(written.count == count && written.values.allSatisfy { $0 == noon }, "what is over the limit waits")
        cache.use(KeyDigest(0), in: noon + .seconds(3_600))
        #expect(cache.takeUses() == [StoredKey(number: 0).id: noon + .seconds(3_600)])
    }
}
