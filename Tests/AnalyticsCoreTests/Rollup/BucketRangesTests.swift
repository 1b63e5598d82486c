import Testing

@testable import AnalyticsCore

struct BucketRangesTests {
    @Test func neighbouringIndexesAreJoined() {
        #expect(coalesce([]) == [])
        #expect(coalesce([-2, -1, 0, 2, 5, 6]) == [-2..<1, 2..<3, 5..<7])
        #expect([0..<2, 2..<3, 5..<6, 6..<9].merged() == [0..<3, 5..<9] as [Range<Int64>])
    }

    @Test func slicesHoldNoMoreThanTheyMay() {
        #expect(slices([], length: 5) == [])
        #expect(slices([0..<0], length: 5) == [])
        #expect(slices([0..<7, 10..<12], length: 5) == [[0..<5], [5..<7, 10..<12]])
        #expect(slices([0..<1, 2..<3, 4..<5], count: 2, length: 5) == [[0..<1, 2..<3], [4..<5]])
        #expect(slices([0..<5, 6..<7], length: 5) == [[0..<5], [6..<7]])
    }

    @Test func rangesAreCutAtAnIndex() {
        let ranges: [Range<Int64>] = [0..<4, 6..<9]
        #expect(ranges.from(4) == [6..<9] && ranges.from(2) == [2..<4, 6..<9])
        #expect(ranges.before(4) == [0..<4] && ranges.before(7) == [0..<4, 6..<7])
    }
}
