import TestSupport
import Testing

@testable import AnalyticsCore

struct MinutePartsTests {
    private static func marks(_ events: [(second: Double, outcome: InsertOutcome)]) async throws -> MinuteStamp? {
        let store = MemoryStore()
        let key = BucketKey(project: Project.default, index: noon.minute)
        try await store.mark(.minute, [key])
        var marks = BucketMarks()
        for (number, event) in events.enumerated() {
            marks.touch(stored(sample("e\(number)", at: noon + .seconds(event.second))), event.outcome)
        }
        try await marks.write(to: store)
        return try await store.minuteStamp(key)
    }

    @Test func aMarkTellsWhereItsEventsLie() async throws {
        #expect(try await Self.marks([(0, .stored), (0.3, .stored), (59.999, .redelivered)])?.marks == [0: 1, 1: 1, 239: 1])
        #expect(try await Self.marks([(1, .refused("no")), (2, .expired(before: noon))])?.marks == [4: 1, 8: 1])
        // The event that holds the id is the one that counts.
        let held = noon + .seconds(30)
        #expect(
            try await Self.marks([(90, .duplicate(heldAt: held)), (90, .conflict(heldAt: held + .seconds(1)))])?.marks == [120: 1, 124: 1])
    }

    @Test func aMarkThatDoesNotKnowTellsNothing() async throws {
        #expect(try await Self.marks([(0, .stored), (1, .erased)]) == MinuteStamp(version: 2))
        #expect(try await Self.marks((0..<65).map { (Double($0) / 4, .stored) }) == MinuteStamp(version: 2))
        #expect(try await Self.marks((0..<64).map { (Double($0) / 4, .stored) })?.told == 1)
        // Of events in so many minutes none says more than its minute.
        #expect(try await Self.marks((0..<9).map { (Double($0) * 60, .stored) }) == MinuteStamp(version: 2))
        #expect(try await Self.marks((0..<8).map { (Double($0) * 60, .stored) })?.told == 1)
    }

    @Test func minutesBefore1970HaveTheSameParts() {
        var parts = MinuteParts()
        parts.insert(Timestamp(milliseconds: -1))
        parts.insert(Timestamp(milliseconds: -60_000))
        #expect(parts == MinuteParts([0, 239]) && parts.indexes == [0, 239] && parts.count == 2)
        #expect(
            parts.ranges(of: -1) == [
                Timestamp(milliseconds: -60_000)..<Timestamp(milliseconds: -59_750),
                Timestamp(milliseconds: -250)..<Timestamp(milliseconds: 0),
            ])
        #expect(MinuteParts.all.ranges(of: 7) == [(7..<8 as Range<Int64>).times] && MinuteParts().ranges(of: 7).isEmpty)
    }

    @Test func partsThatAreNearEachOtherAreReadTogether() {
        #expect(MinuteParts([3, 7, 12, 200]).withoutSmallGaps == MinuteParts([3, 4, 5, 6, 7, 12, 200]))
        #expect(MinuteParts().withoutSmallGaps.isEmpty && MinuteParts.all.withoutSmallGaps == .all)
    }

    @Test func whatHasChangedIsToldOnlyWhereEachMarkSinceHasToldIt() {
        var stamp = MinuteStamp(version: 1)
        stamp.mark(MinuteParts([5]))
        let before = stamp
        #expect(stamp.changes(since: before) == MinuteParts())
        for part in 5..<40 { stamp.mark(MinuteParts([part, 239])) }
        #expect(stamp.changes(since: before) == MinuteParts(Array(5..<40) + [239]))
        #expect(before.changes(since: stamp) == nil)
        // An earlier version of the service marks as it always did.
        stamp.mark(nil)
        #expect(stamp.changes(since: before) == nil)
        let after = stamp
        stamp.mark(MinuteParts([1]))
        #expect(stamp.changes(since: after) == MinuteParts([1]) && stamp.changes(since: before) == nil)
        // What no service writes.
        #expect(MinuteStamp(version: 3, told: 2, marks: [5: 1]).changes(since: before) == nil)
        #expect(MinuteStamp(version: 3, told: 2, marks: [6: 1]).changes(since: before) == nil)
        #expect(MinuteStamp(version: 2, told: 1, marks: [5: 1, 6: 1]).changes(since: before) == nil)
    }

    @Test func marksAreReadAsTheyWereWritten() {
        var stamp = MinuteStamp(version: 1)
        for number in 0..<500 { stamp.mark(MinuteParts([number % 240, 17])) }
        let bytes = stamp.encodedMarks
        #expect(MinuteStamp.marks(encoded: bytes) == stamp.marks)
        #expect(MinuteStamp.marks(encoded: bytes + [0x80]) == nil && MinuteStamp.marks(encoded: [0xF0, 0x01, 0x01]) == nil)
        #expect(MinuteStamp.marks(encoded: []) == [:])
        #expect(MinuteStamp(version: 1, told: 1, marks: [-1: 1, 240: 1, 3: 1]).marks == [3: 1])
    }
}
