import TestSupport
import Testing

@testable import AnalyticsCore

struct ReceivedTableTests {
    private func table(_ days: [(Int64, Int64)]) -> ReceivedTable? {
        var sums = ReceivedSums()
        for (day, events) in days { sums.add(events, on: day) }
        return sums.table
    }

    private func read(_ table: ReceivedTable?) throws -> [Int64: Int64] {
        Dictionary(uniqueKeysWithValues: try #require(table).days().map { ($0.day, $0.events) })
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func daysAreReadBackInTheirOrderWhateverTheOrderOfTheEvents(seed: UInt64) throws {
        var random = Seeded(seed)
        var expected: [Int64: Int64] = [:]
        let days = (0..<1 + random.below(300)).map { _ in
            let day = noon.day + Int64(random.below(random.chance(20) ? 500_000 : 40)) - 20
            return (day, 1 + Int64(random.below(1 << 30)))
        }
        for (day, events) in days { expected[day, default: 0] += events }
        let written = table(days)
        #expect(try read(written) == expected)
        #expect(try written?.days().map(\.day) == expected.keys.sorted())
        #expect(table(days.shuffled(using: &random)) == written, "the same events are the same bytes")
        for end in 0..<(written?.bytes.count ?? 0) {
            let cut = ReceivedTable(bytes: Array(written!.bytes.prefix(end)))
            #expect((try? cut.days().count) ?? 0 < expected.count)
        }
    }

    @Test func aBucketOfOneDayTakesFewBytes() {
        #expect(table([(noon.day, 1)])?.bytes.count == 4 && table([(noon.day, 10_000)])?.bytes.count == 5)
        #expect(table([]) == .empty && table([(noon.day, 0)]) == .empty)
    }

    @Test func theDaysAreThoseOfValidTimes() throws {
        let (first, last) = (Timestamp.earliest.day, Timestamp.latest.day)
        #expect(try read(table([(first, 1), (last, 1 << 40)])) == [first: 1, last: 1 << 40])
        #expect(table([(first - 1, 1)]) == nil && table([(last + 1, 1)]) == nil && table([(.min, 1)]) == nil && table([(.max, 1)]) == nil)
    }

    @Test func sumsBeyondATableAreNotKept() {
        #expect(table([(1, 1 << 40), (1, 1)]) == nil && table([(1, .max), (1, .max)]) == nil && table([(1, -1)]) == nil)
        let days = (0..<Int64(ReceivedTable.maximumDays) + 1).map { ($0, Int64(1)) }
        let most = table(Array(days.dropLast()))
        #expect(most != nil && most?.bytes.count ?? 0 < 200_000 && table(days) == nil)
    }

    @Test(
        arguments: [
            [0], [0, 1], [1], [1, 0], [1, 1, 0, 1], [255, 255, 255, 255, 255, 255, 255, 255, 127, 1],
            [1, 128, 128, 128, 128, 128, 128, 128, 128, 1], [1, 1, 255, 255, 255, 127, 1],
        ] as [[UInt8]])
    func whatNobodyHasWrittenIsDamage(bytes: [UInt8]) {
        #expect(throws: GroupTable.Unreadable.damaged) { try ReceivedTable(bytes: bytes).days() }
    }

    @Test func anHourHasTheDaysOfItsMinutesUnlessOneIsUnknown() throws {
        func minute(_ index: Int64, _ received: ReceivedTable?) -> Rollup {
            Rollup(
                key: BucketKey(project: "p", index: index), version: 1, done: 1, dirty: false, table: .overflow, received: received)
        }
        let known = [minute(0, table([(7, 2)])), minute(1, table([(7, 1), (9, 4)])), minute(2, .empty)]
        guard case .table(let groups, let sum) = BucketSums.sum(.hour, of: known) else { throw Wrong() }
        #expect(groups == .overflow)
        #expect(try read(sum) == [7: 3, 9: 4], "groups that overflow do not hide them")
        for unknown in [nil, ReceivedTable(bytes: [0])] {
            #expect(BucketSums.sum(.hour, of: known + [minute(3, unknown)]) == .table(.overflow, nil))
        }
        #expect(BucketSums.sum(.hour, of: []) == .table(.empty, .empty))
    }

    private struct Wrong: Error {}
}
