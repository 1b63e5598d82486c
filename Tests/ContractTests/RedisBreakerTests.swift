import TestSupport
import Testing

@testable import AnalyticsRedis

@Suite("Redis breaker")
struct RedisBreakerTests {
    private let start = ContinuousClock.now

    @Test("While all is well everybody may try")
    func admitsWhileClosed() {
        let breaker = Breaker()
        for _ in 0..<10 { #expect(breaker.attempt(at: start) != nil) }
    }

    @Test("After a failure nobody may for 100 ms, then one, and after its success all")
    func triesOnce() throws {
        let breaker = Breaker()
        breaker.failed(try #require(breaker.attempt(at: start)), at: start)
        #expect(breaker.attempt(at: start + .milliseconds(99)) == nil)
        let trial = try #require(breaker.attempt(at: start + .milliseconds(100)))
        #expect(breaker.attempt(at: start + .milliseconds(101)) == nil)
        breaker.succeeded(trial)
        #expect(breaker.attempt(at: start + .milliseconds(102)) != nil)
        #expect(breaker.attempt(at: start + .milliseconds(102)) != nil)
    }

    @Test("Each failed attempt doubles the pause, up to two seconds; a success begins anew")
    func growsThePause() throws {
        let breaker = Breaker()
        var now = start
        breaker.failed(try #require(breaker.attempt(at: now)), at: now)
        for pause in [100, 200, 400, 800, 1600, 2000, 2000] {
            #expect(breaker.attempt(at: now + .milliseconds(pause - 1)) == nil)
            now += .milliseconds(pause)
            breaker.failed(try #require(breaker.attempt(at: now)), at: now)
        }
        now += .seconds(2)
        breaker.succeeded(try #require(breaker.attempt(at: now)))
        breaker.failed(try #require(breaker.attempt(at: now)), at: now)
        #expect(breaker.attempt(at: now + .milliseconds(100)) != nil)
    }

    @Test("Outcomes of attempts from before the failure neither lengthen nor end the pause")
    func ignoresLateOutcomes() throws {
        let breaker = Breaker()
        let early = try (0..<3).map { _ in try #require(breaker.attempt(at: start)) }
        breaker.failed(early[0], at: start)
        breaker.failed(early[1], at: start + .milliseconds(50))
        breaker.succeeded(early[2])
        #expect(breaker.attempt(at: start + .milliseconds(99)) == nil)
        let trial = try #require(breaker.attempt(at: start + .milliseconds(100)))
        breaker.succeeded(early[2])
        #expect(breaker.attempt(at: start + .milliseconds(101)) == nil)
        breaker.succeeded(trial)
        #expect(breaker.attempt(at: start + .milliseconds(102)) != nil)
    }

    @Test("An attempt that was never made lets the next caller try")
    func handsOnTheTrial() throws {
        let breaker = Breaker()
        breaker.failed(try #require(breaker.attempt(at: start)), at: start)
        breaker.abandoned(try #require(breaker.attempt(at: start + .milliseconds(100))), at: start + .milliseconds(110))
        #expect(breaker.attempt(at: start + .milliseconds(110)) != nil)
    }
}

/// By reference, for the sake of the test macros.
private final class Breaker {
    private var breaker = RedisBreaker()
    private var steady = SteadyGenerator()

    func attempt(at now: ContinuousClock.Instant) -> RedisBreaker.Attempt? { breaker.attempt(at: now) }
    func succeeded(_ attempt: RedisBreaker.Attempt) { breaker.succeeded(attempt) }
    func failed(_ attempt: RedisBreaker.Attempt, at now: ContinuousClock.Instant) { breaker.failed(attempt, at: now, using: &steady) }
    func abandoned(_ attempt: RedisBreaker.Attempt, at now: ContinuousClock.Instant) { breaker.abandoned(attempt, at: now) }
}
