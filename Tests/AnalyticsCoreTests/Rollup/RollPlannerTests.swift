import TestSupport
import Testing

@testable import AnalyticsCore

struct RollPlannerTests {
    /// `#expect` takes no mutating call; a class has none.
    private final class Planner {
        private var planner = RollPlanner()
        func beginPass() { planner.beginPass() }
        func isDue(_ bucket: BucketVersion, now: Duration) -> Bool { planner.isDue(bucket, now: now) }
        func longestWait(now: Duration) -> Duration { planner.longestWait(now: now) }
    }

    private func bucket(_ version: Int64, _ index: Int64 = 0) -> BucketVersion {
        BucketVersion(key: BucketKey(project: "p", index: index), version: version, done: 0)
    }

    /// Marked anew before every pass, half a second apart.
    @Test func aHotBucketIsRolledAtGrowingIntervals() {
        let planner = Planner()
        var rolledAt: [Int] = []
        for pass in 0..<240 {
            planner.beginPass()
            if planner.isDue(bucket(Int64(pass + 1)), now: .milliseconds(pass * 500)) { rolledAt.append(pass * 500) }
        }
        #expect(
            zip(rolledAt, rolledAt.dropFirst()).map { $1 - $0 } == [
                1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000, 16_000, 16_000, 16_000,
            ])
    }

    @Test func aBucketThatWasQuietForAPassIsRolledAtOnce() {
        let planner = Planner()
        for pass in 0..<20 {
            planner.beginPass()
            _ = planner.isDue(bucket(Int64(pass + 1)), now: .milliseconds(pass * 500))
        }
        planner.beginPass()
        #expect(planner.isDue(bucket(20), now: .milliseconds(10_001)))
        #expect(planner.isDue(bucket(20), now: .milliseconds(10_002)), "and again while it stays marked")
    }

    @Test func aNewBucketIsRolledAtOnceAndOneThatWasGoneIsNew() {
        let planner = Planner()
        planner.beginPass()
        #expect(planner.isDue(bucket(1), now: .milliseconds(0)))
        planner.beginPass()
        #expect(!planner.isDue(bucket(2), now: .milliseconds(500)))
        planner.beginPass()
        planner.beginPass()
        #expect(planner.isDue(bucket(3), now: .milliseconds(600)))
    }

    @Test func whatIsBeyondItsMemoryIsAlwaysDue() {
        let planner = Planner()
        for pass in 0..<3 {
            planner.beginPass()
            for index in 0..<Int64(RollPlanner.memory) { _ = planner.isDue(bucket(Int64(pass), index), now: .milliseconds(pass)) }
            #expect(planner.isDue(bucket(Int64(pass), -1), now: .milliseconds(pass)))
        }
    }

    @Test func theLongestWaitIsOfWhatIsStillMarked() {
        let planner = Planner()
        #expect(planner.longestWait(now: .milliseconds(0)) == .zero)
        planner.beginPass()
        _ = planner.isDue(bucket(1), now: .milliseconds(0))
        planner.beginPass()
        _ = planner.isDue(bucket(2), now: .milliseconds(500))
        #expect(planner.longestWait(now: .milliseconds(900)) == .milliseconds(900))
        planner.beginPass()
        #expect(planner.longestWait(now: .milliseconds(1_400)) == .zero)
    }
}
