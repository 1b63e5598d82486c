import TestSupport
import Testing

@testable import AnalyticsCore

struct QuestionRangeTests {
    private func range(_ interval: CalendarInterval, _ zone: String, _ from: String, _ to: String) throws -> QuestionRange {
        let zone = try #require(ZoneName(zone))
        let rules = try #require(ZoneDatabase.system.rules(of: zone))
        let (start, end) = (try #require(Timestamp(rfc3339: from)), try #require(Timestamp(rfc3339: to)))
        return try QuestionRange(zone: zone, rules: rules, interval: interval, from: start, to: end, now: noon)
    }

    @Test(arguments: [
        // Three days: a week earlier. Four weeks: four. A moment more: five.
        ("day", "2026-03-28T00:00:00+01:00", "2026-03-31T00:00:00+02:00", "2026-03-21T00:00:00+01:00", "2026-03-24T00:00:00+01:00"),
        ("day", "2026-03-09T00:00:00+01:00", "2026-04-06T00:00:00+02:00", "2026-02-09T00:00:00+01:00", "2026-03-09T00:00:00+01:00"),
        ("week", "2026-03-09T00:00:00+01:00", "2026-04-06T00:00:01+02:00", "2026-02-02T00:00:00+01:00", "2026-03-02T00:00:01+01:00"),
        // The same hour by the clock, which is another one in UTC.
        ("hour", "2026-03-30T09:00:00+02:00", "2026-03-30T12:00:00+02:00", "2026-03-23T09:00:00+01:00", "2026-03-23T12:00:00+01:00"),
        // Three months, across a new year; the 31st is the 30th where there is none.
        ("month", "2026-01-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00", "2025-10-01T00:00:00+02:00", "2026-01-01T00:00:00+01:00"),
        ("month", "2026-05-31T12:00:00+02:00", "2026-06-01T00:00:00+02:00", "2026-04-30T12:00:00+02:00", "2026-05-01T00:00:00+02:00"),
    ])
    func anEarlierRangeHasTheSameDaysByTheCalendar(
        interval: String, from: String, to: String, earlierFrom: String, earlierTo: String
    ) throws {
        let range = try range(#require(CalendarInterval(rawValue: interval)), "Europe/Berlin", from, to)
        let earlier = try range.previous()
        #expect([earlier.text(earlier.from), earlier.text(earlier.to)] == [earlierFrom, earlierTo])
        #expect(earlier.starts.count == range.starts.count || interval == "hour")
    }

    @Test func anEarlierRangeOfWhichNothingIsLeftIsEmpty() throws {
        // Of 30 and 31 December November has the 30th only.
        let range = try range(.month, "UTC", "2025-12-30T18:30:00Z", "2025-12-31T04:30:00Z")
        let earlier = try range.previous()
        #expect(earlier.from == Timestamp(rfc3339: "2025-11-30T18:30:00Z") && earlier.to == earlier.from)
        #expect(earlier.starts == [Timestamp(rfc3339: "2025-11-01T00:00:00Z")!])
    }

    @Test func theFirstBucketThatIsNotOverIsTold() throws {
        let range = try range(.hour, "UTC", "2026-03-01T10:30:00Z", "2026-03-01T13:15:00Z")
        #expect(
            range.starts.map { range.text($0) } == [
                "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z",
            ])
        for (now, incomplete) in [
            ("2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z"), ("2026-03-01T10:59:59.999Z", "2026-03-01T10:00:00Z"),
            ("2026-03-01T11:00:00Z", "2026-03-01T11:00:00Z"), ("2026-03-01T13:14:59.999Z", "2026-03-01T13:00:00Z"),
        ] { #expect(range.incompleteFrom(at: Timestamp(rfc3339: now)!) == Timestamp(rfc3339: incomplete)!, "\(now)") }
        #expect(range.incompleteFrom(at: range.to) == nil)
        let last = Timestamp(rfc3339: "2026-03-01T13:00:00Z")!
        #expect(range.openBucket(at: range.to) == last && range.openBucket(at: last + .seconds(3_600)) == nil)
    }

    @Test func aRangeOfMoreBucketsThanAnAnswerMayHaveIsRefused() throws {
        #expect(try range(.hour, "UTC", "2025-01-01T00:00:00Z", "2026-04-04T08:00:00Z").starts.count == QuestionRange.maximumBuckets)
        #expect(throws: QuestionRange.TooManyBuckets.self) {
            try self.range(.hour, "UTC", "2025-01-01T00:00:00Z", "2026-04-04T08:00:00.001Z")
        }
    }
}
