import TestSupport
import Testing

@testable import AnalyticsCore

struct BackoffTests {
    @Test func delaysDoubleFromTheFirstToTheCap() {
        var steady = SteadyGenerator()
        var backoff = Backoff(first: .milliseconds(200), cap: .seconds(5))
        let delays = (0..<8).map { _ in backoff.next(using: &steady).milliseconds }
        #expect(delays == [200, 400, 800, 1600, 3200, 5000, 5000, 5000] && backoff.failures == 8)
        backoff.reset()
        #expect(backoff.failures == 0 && backoff.next(using: &steady) == .milliseconds(200))
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func jitterIsAQuarterEachWayAndSpreads(seed: UInt64) {
        var random = Seeded(seed)
        var backoff = Backoff()
        var factors: [Double] = []
        var expected = Duration.milliseconds(50)
        for _ in 0..<20 {
            let delay = backoff.next(using: &random)
            #expect(delay >= expected * 0.75 && delay <= expected * 1.25)
            factors.append(delay / expected)
            expected = min(expected * 2, .seconds(5))
        }
        #expect(factors.max()! - factors.min()! > 0.2)
    }

    @Test func anyNumberOfFailuresIsWithinTheCap() {
        var steady = SteadyGenerator()
        var backoff = Backoff(first: .nanoseconds(1), cap: .seconds(3_600))
        for _ in 0..<10_000 { #expect(backoff.next(using: &steady) <= .seconds(3_600)) }
        var constant = Backoff(first: .seconds(9), cap: .seconds(1))
        #expect(constant.next(using: &steady) == .seconds(1))
    }
}
