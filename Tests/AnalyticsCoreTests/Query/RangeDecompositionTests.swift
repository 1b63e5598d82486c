import TestSupport
import Testing

@testable import AnalyticsCore

struct RangeDecompositionTests {
    private func cover(_ from: Int64, _ to: Int64) -> RangeDecomposition {
        RangeDecomposition(Timestamp(milliseconds: from)..<Timestamp(milliseconds: to))
    }

    @Test func aWholeHourIsOneHour() {
        #expect(cover(3_600_000, 7_200_000) == expected(hours: [1..<2]))
    }

    @Test func aWholeMinuteIsOneMinute() {
        #expect(cover(60_000, 120_000) == expected(minutes: [1..<2]))
    }

    @Test func whatLiesInsideAMinuteIsAnEdge() {
        #expect(cover(60_001, 119_999) == expected(edges: [(60_001, 119_999)]))
    }

    @Test func twoPartsOfNeighbouringMinutesAreTwoEdges() {
        #expect(cover(59_999, 60_001) == expected(edges: [(59_999, 60_000), (60_000, 60_001)]))
    }

    @Test func minutesLieAtBothSidesOfHoursAndEdgesAtBothSidesOfMinutes() {
        #expect(
            cover(3_539_999, 7_260_001)
                == expected(hours: [1..<2], minutes: [59..<60, 120..<121], edges: [(3_539_999, 3_540_000), (7_260_000, 7_260_001)]))
    }

    @Test func hoursLieAtBothSidesOfDays() {
        #expect(cover(86_400_000, 172_800_000) == expected(days: [1..<2]))
        #expect(cover(82_800_000, 176_400_000) == expected(days: [1..<2], hours: [23..<24, 48..<49]))
        #expect(cover(86_400_000, 172_799_999) == expected(hours: [24..<47], minutes: [2_820..<2_879], edges: [(172_740_000, 172_799_999)]))
        #expect(cover(-86_400_001, 0) == expected(days: [-1..<0], edges: [(-86_400_001, -86_400_000)]))
    }

    @Test func roundsDownBefore1970Too() {
        #expect(cover(-3_660_001, 1) == expected(hours: [-1..<0], minutes: [-61..<(-60)], edges: [(-3_660_001, -3_660_000), (0, 1)]))
    }

    @Test(arguments: 0..<2_000 as Range<UInt64>)
    func everyMomentOfARangeIsCoveredOnce(seed: UInt64) {
        var random = Seeded(seed)
        let unit: Int64 = [1, 60_000, 3_600_000, 86_400_000].randomElement(using: &random)!
        let from = (Int64(random.below(400_000_000)) - 200_000_000) / unit * unit
        let to = from + 1 + Int64(random.below([300_000_000, 8_000_000, 90_000].randomElement(using: &random)!)) / unit * unit
        let cover = cover(from, to)
        var parts = cover.edges.map { ($0.lowerBound.milliseconds, $0.upperBound.milliseconds) }
        parts += cover.minutes.map { ($0.lowerBound * 60_000, $0.upperBound * 60_000) }
        parts += cover.hours.map { ($0.lowerBound * 3_600_000, $0.upperBound * 3_600_000) }
        parts += cover.days.map { ($0.lowerBound * 86_400_000, $0.upperBound * 86_400_000) }
        parts.sort { $0.0 < $1.0 }
        #expect(parts.first?.0 == from && parts.last?.1 == to, "seed \(seed)")
        for (before, after) in zip(parts, parts.dropFirst()) { #expect(before.1 == after.0, "seed \(seed)") }
        for hours in cover.hours { #expect(hours.count < (cover.days.isEmpty ? 47 : 24), "seed \(seed)") }
        for edge in cover.edges { #expect(edge.upperBound.milliseconds - edge.lowerBound.milliseconds < 60_000, "seed \(seed)") }
    }

    // MARK: Boundaries

    private func cover(_ from: Int64, _ to: Int64, boundaries: [Int64]) -> RangeDecomposition {
        RangeDecomposition(
            Timestamp(milliseconds: from)..<Timestamp(milliseconds: to), boundaries: boundaries.map { Timestamp(milliseconds: $0) })
    }

    @Test func aDayIsCutWhereABoundaryLiesInIt() {
        let days = (0..<4).map { $0 * 86_400_000 as Int64 }
        #expect(cover(0, 4 * 86_400_000, boundaries: days) == expected(days: [0..<4]))
        #expect(cover(0, 4 * 86_400_000, boundaries: [days[1] + 3_600_000]) == expected(days: [0..<1, 2..<4], hours: [24..<48]))
    }

    @Test func anHourIsCutWhereABoundaryLiesInsideAQuarterOfIt() {
        #expect(cover(0, 7_200_000, boundaries: [900_000, 2_700_000]) == expected(hours: [0..<2]))
        #expect(cover(0, 7_200_000, boundaries: [960_000]) == expected(hours: [1..<2], minutes: [0..<60]))
    }

    @Test func aMinuteIsCutWhereABoundaryLiesInIt() {
        #expect(
            cover(0, 180_000, boundaries: [30_000, 90_500])
                == expected(minutes: [2..<3], edges: [(0, 30_000), (30_000, 60_000), (60_000, 90_500), (90_500, 120_000)]))
    }

    @Test(arguments: 0..<1_000 as Range<UInt64>)
    func everyMomentIsCoveredOnceAndNothingLiesOnBothSidesOfABoundary(seed: UInt64) {
        var random = Seeded(seed)
        let from = Int64(random.below(400_000_000)) - 200_000_000
        let to = from + 1 + Int64(random.below(400_000_000))
        let unit: Int64 = [1, 60_000, 900_000, 3_600_000, 86_400_000].randomElement(using: &random)!
        let boundaries = (0..<random.below(40)).map { _ in (Int64(random.below(500_000_000)) - 250_000_000) / unit * unit }.sorted()
        let cover = cover(from, to, boundaries: boundaries)
        var parts = cover.edges.map { $0.lowerBound.milliseconds..<$0.upperBound.milliseconds }
        // Buckets one by one; hours by their quarters, which is how they are told.
        for (ranges, length, unit) in [
            (cover.days, 86_400_000, 86_400_000), (cover.hours, 3_600_000, 900_000), (cover.minutes, 60_000, 60_000),
        ] as [([Range<Int64>], Int64, Int64)] {
            for range in ranges {
                let ends = (range.lowerBound * length, range.upperBound * length)
                parts += stride(from: ends.0, to: ends.1, by: Int(unit)).map { $0..<$0 + unit }
            }
        }
        parts.sort { $0.lowerBound < $1.lowerBound }
        #expect(parts.first?.lowerBound == from && parts.last?.upperBound == to, "seed \(seed)")
        for (before, after) in zip(parts, parts.dropFirst()) { #expect(before.upperBound == after.lowerBound, "seed \(seed)") }
        let places = boundaries.map { boundary in parts.partitioningCount { $0.lowerBound < boundary } }
        for (boundary, place) in zip(boundaries, places) where boundary > from && boundary < to {
            #expect(parts[place - 1].upperBound == boundary, "seed \(seed)")
        }
        let minutes = cover.wholeMinutes.reduce(0) { $0 + $1.upperBound - $1.lowerBound }
        let edges = cover.edges.reduce(0) { $0 + $1.upperBound.milliseconds - $1.lowerBound.milliseconds }
        #expect(minutes * 60_000 + edges == to - from, "seed \(seed)")
    }

    private func expected(
        days: [Range<Int64>] = [], hours: [Range<Int64>] = [], minutes: [Range<Int64>] = [], edges: [(Int64, Int64)] = []
    ) -> RangeDecomposition {
        var cover = RangeDecomposition(Timestamp(milliseconds: 0)..<Timestamp(milliseconds: 1))
        cover.days = days
        cover.hours = hours
        cover.minutes = minutes
        cover.edges = edges.map { Timestamp(milliseconds: $0.0)..<Timestamp(milliseconds: $0.1) }
        return cover
    }
}

extension Array {
    /// How many of the first hold, of an array in which none after them does.
    fileprivate func partitioningCount(_ holds: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
