import TestSupport
import Testing

@testable import AnalyticsCore

struct TokenBucketTests {
    /// Counts in thousandths of a token, which come every millisecond.
    private struct Model {
        var rate: Int
        var burst: Int
        var level: Int

        init(rate: Int, burst: Int) {
            self.rate = rate
            self.burst = burst
            level = burst * 1_000
        }

        mutating func pass(milliseconds: Int) { level = min(burst * 1_000, level + rate * milliseconds) }

        mutating func take(_ count: Int) -> Bool {
            guard level >= min(count, burst) * 1_000 else { return false }
            level -= count * 1_000
            return true
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func givesWhatASimpleModelGives(seed: UInt64) {
        var random = Seeded(seed)
        let rate = 1 + random.below(random.chance(50) ? 10 : 2_000)
        let burst = random.chance(50) ? rate : 1 + random.below(rate * 2)
        var bucket = TokenBucket(rate: rate, burst: burst)
        var model = Model(rate: rate, burst: burst)
        var now = Duration.seconds(random.below(1_000))
        for _ in 0..<300 {
            let milliseconds = random.chance(30) ? 0 : random.below(random.chance(90) ? 300 : 20_000)
            now += .milliseconds(milliseconds)
            model.pass(milliseconds: milliseconds)
            let count = random.below(random.chance(90) ? burst + 1 : burst * 3)
            let rate = bucket.take(count, at: now)
            let isAllowed = model.take(count)
            #expect(rate.isAllowed == isAllowed)
            #expect(rate.remaining == max(0, model.level / 1_000) && rate.limit == bucket.rate)
            if let retryAfter = rate.retryAfter {
                #expect(bucket.wait(for: count, at: now + retryAfter) == .zero, "it passes then")
                #expect(bucket.wait(for: count, at: now + retryAfter - .nanoseconds(1)) > .zero, "and not before")
            }
        }
    }

    @Test func aBatchThatIsLargerThanTheBucketPassesWhenItIsFullAndIsPaidOff() {
        var bucket = TokenBucket(rate: 10)
        #expect(bucket.take(50, at: .zero) == Rate(limit: 10, remaining: 0))
        #expect(bucket.take(1, at: .seconds(4)) == Rate(limit: 10, remaining: 0, retryAfter: .milliseconds(100)))
        #expect(bucket.take(50, at: .seconds(4)).retryAfter == .seconds(1))
        #expect(bucket.take(50, at: .seconds(5)).isAllowed)
    }

    @Test func aRefusedRequestTakesNothing() {
        var bucket = TokenBucket(rate: 2)
        #expect(bucket.take(2, at: .zero).remaining == 0)
        for _ in 0..<100 { #expect(!bucket.take(1, at: .milliseconds(499)).isAllowed) }
        #expect(bucket.take(1, at: .milliseconds(500)).isAllowed)
    }

    @Test func aDebtIsPaidOffWithinAMinute() {
        var bucket = TokenBucket(rate: 1)
        let taken = bucket.take(100_000, at: .zero)
        #expect(taken.isAllowed)
        #expect(bucket.wait(for: 1, at: .zero) == TokenBucket.longestDebt + .seconds(1))
        #expect(bucket.wait(for: 1, at: TokenBucket.longestDebt + .seconds(1)) == .zero)
    }
}
