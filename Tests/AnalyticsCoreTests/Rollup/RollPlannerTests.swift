import Testing

@testable import AnalyticsCore

struct RollPlannerTests {
    /// `#expect` takes no mutating call; a class has none.
    private final class Planner {
        private var planner = RollPlanner<FakeInstant>()
        func beginPass() { planner.beginPass() }
        func isDue(_ bucket: BucketVersion, now: FakeInstant) -> Bool { planner.isDue(bucket, now: now) }
        func longestWait(now: FakeInstant) -> Duration { planner.longestWait(now: now) }
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
            if planner.isDue(bucket(Int64(pass + 1)), now: .at(pass * 500)) { rolledAt.append(pass * 500) }
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
            _ = planner.isDue(bucket(Int64(pass + 1)), now: .at(pass * 500))
        }
        planner.beginPass()
        #expect(planner.isDue(bucket(20), now: .at(10_001)))
        #expect(planner.isDue(bucket(20), now: .at(10_002)), "and again while it stays marked")
    }

    @Test func aNewBucketIsRolledAtOnceAndOneThatWasGoneIsNew() {
        let planner = Planner()
        planner.beginPass()
        #expect(planner.isDue(bucket(1), now: .at(0)))
        planner.beginPass()
        #expect(!planner.isDue(bucket(2), now: .at(500)))
        planner.beginPass()
        planner.beginPass()
        #expect(planner.isDue(bucket(3), now: .at(600)))
    }

    @Test func whatIsBeyondItsMemoryIsAlwaysDue() {
        let planner = Planner()
        for pass in 0..<3 {
            planner.beginPass()
            for index in 0..<Int64(RollPlanner<FakeInstant>.memory) { _ = planner.isDue(bucket(Int64(pass), index), now: .at(pass)) }
            #expect(planner.isDue(bucket(Int64(pass), -1), now: .at(pass)))
        }
    }

    @Test func theLongestWaitIsOfWhatIsStillMarked() {
        let planner = Planner()
        #expect(planner.longestWait(now: .at(0)) == .zero)
        planner.beginPass()
        _ = planner.isDue(bucket(1), now: .at(0))
        planner.beginPass()
        _ = planner.isDue(bucket(2), now: .at(500))
        #expect(planner.longestWait(now: .at(900)) == .milliseconds(900))
        planner.beginPass()
        #expect(planner.longestWait(now: .at(1_400)) == .zero)
    }
}

struct GroupFoldingTests {
    private func group(_ type: String, _ count: Int64) -> RollupGroup { RollupGroup(type: type, source: "s", count: count) }

    @Test func upToTheLimitNothingIsFolded() {
        let groups = (0..<GroupFolding.limit).map { group("t\($0)", Int64($0)) }
        let folded = GroupFolding.fold(groups.shuffled())
        #expect(folded.count == GroupFolding.limit && Set(folded) == Set(groups) && folded.first?.count == 999)
    }

    @Test func beyondItTheLargestKeepTheirNamesAndTheRestIsSummed() {
        let groups = (0...GroupFolding.limit).map { group("t\($0)", Int64($0)) }
        let folded = GroupFolding.fold(groups.shuffled())
        #expect(folded.count == GroupFolding.limit)
        #expect(folded.last == RollupGroup(type: GroupFolding.other, source: GroupFolding.other, count: 0 + 1))
        #expect(folded.reduce(0) { $0 + $1.count } == groups.reduce(0) { $0 + $1.count })
    }

    @Test func whatIsFoldedAlreadyIsFoldedInAgain() {
        let other = RollupGroup(type: GroupFolding.other, source: GroupFolding.other, count: 1_000_000, quarters: [1, 2, 3, 999_994])
        let groups = (0..<2_000).map { RollupGroup(type: "t\($0)", source: "s", count: 1, quarters: [0, 0, 0, 1]) } + [other]
        let folded = GroupFolding.fold(groups)
        #expect(folded.count < GroupFolding.limit + 1)
        #expect(folded.count { $0.type == GroupFolding.other } == 1)
        #expect(folded.last?.count == 1_000_000 + 2_000 - Int64(folded.count - 1))
        #expect(folded.last?.quarters.reduce(0, +) == folded.last?.count)
    }

    @Test func theSameGroupsFoldTheSameWayInAnyOrder() {
        var random = Seeded(7)
        let groups = (0..<1_500).map { group("t\($0)", Int64($0 % 3)) } + [group("\u{E9}", 1), group("e\u{301}", 1)]
        let expected = GroupFolding.fold(groups).map { [$0.type, $0.source, String($0.count)].map { Array($0.utf8) } }
        for _ in 0..<5 {
            #expect(
                GroupFolding.fold(groups.shuffled(using: &random)).map { [$0.type, $0.source, String($0.count)].map { Array($0.utf8) } }
                    == expected)
        }
    }

    @Test func minutesAreFoldedAsTheyComeToTheirEnd() {
        var folder = MinuteFolder()
        folder.add(minute: -1, type: "a", source: "s", count: 1)
        folder.add(minute: -1, type: "b", source: "s", count: 2)
        folder.add(minute: 5, type: "a", source: "s", count: 3)
        let minutes = folder.finish()
        #expect(minutes == [.init(minute: -1, groups: [group("b", 2), group("a", 1)]), .init(minute: 5, groups: [group("a", 3)])])
        let rest = folder.finish()
        #expect(rest.isEmpty)
    }
}
