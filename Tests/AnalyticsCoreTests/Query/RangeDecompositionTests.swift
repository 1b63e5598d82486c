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
        #expect(cover(86_400_000, 172_800_000) == expected(days: 1..<2))
        #expect(cover(82_800_000, 176_400_000) == expected(days: 1..<2, hours: [23..<24, 48..<49]))
        #expect(cover(86_400_000, 172_799_999) == expected(hours: [24..<47], minutes: [2_820..<2_879], edges: [(172_740_000, 172_799_999)]))
        #expect(cover(-86_400_001, 0) == expected(days: -1..<0, edges: [(-86_400_001, -86_400_000)]))
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
        if !cover.days.isEmpty { parts.append((cover.days.lowerBound * 86_400_000, cover.days.upperBound * 86_400_000)) }
        parts.sort { $0.0 < $1.0 }
        #expect(parts.first?.0 == from && parts.last?.1 == to, "seed \(seed)")
        for (before, after) in zip(parts, parts.dropFirst()) { #expect(before.1 == after.0, "seed \(seed)") }
        for hours in cover.hours { #expect(hours.count < (cover.days.isEmpty ? 47 : 24), "seed \(seed)") }
        for edge in cover.edges { #expect(edge.upperBound.milliseconds - edge.lowerBound.milliseconds < 60_000, "seed \(seed)") }
    }

    @Test func joinsNeighbouringIndexes() {
        #expect(coalesce([]) == [])
        #expect(coalesce([-2, -1, 0, 2, 5, 6]) == [-2..<1, 2..<3, 5..<7])
    }

    private func expected(
        days: Range<Int64> = 0..<0, hours: [Range<Int64>] = [], minutes: [Range<Int64>] = [], edges: [(Int64, Int64)] = []
    ) -> RangeDecomposition {
        var cover = RangeDecomposition(Timestamp(milliseconds: 0)..<Timestamp(milliseconds: 1))
        cover.days = days
        cover.hours = hours
        cover.minutes = minutes
        cover.edges = edges.map { Timestamp(milliseconds: $0.0)..<Timestamp(milliseconds: $0.1) }
        return cover
    }
}
