import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

/// Where buckets begin. Zones are those of Tests/Fixtures/zones.
struct CalendarTests {
    private static let zones = ZoneDatabase(
        folder: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/zones").path)

    private func calendar(_ interval: CalendarInterval, _ zone: String) throws -> BucketCalendar {
        let zone = try #require(ZoneName(zone))
        return BucketCalendar(interval: interval, rules: try #require(Self.zones.rules(of: zone)))
    }

    private func starts(_ interval: CalendarInterval, _ zone: String, _ from: String, _ to: String) throws -> [String] {
        let (from, to) = (try #require(Timestamp(rfc3339: from)), try #require(Timestamp(rfc3339: to)))
        let calendar = try calendar(interval, zone)
        return try #require(calendar.starts(in: from..<to, limit: 1_000)).map { $0.rfc3339(offset: calendar.rules.offset(at: $0)) }
    }

    @Test func aDayMayHave23Or25Hours() throws {
        let spring = try starts(.hour, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        #expect(spring.count == 23)
        #expect(spring[1...2] == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"])
        let autumn = try starts(.hour, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")
        #expect(autumn.count == 25)
        #expect(autumn[2...3] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"])
        #expect(
            try starts(.day, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z")
                == ["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"])
    }

    @Test func hoursFollowTheLocalClock() throws {
        #expect(
            try starts(.hour, "Asia/Kathmandu", "2026-03-01T00:20:00Z", "2026-03-01T02:15:00Z")
                == ["2026-03-01T06:00:00+05:45", "2026-03-01T07:00:00+05:45"])
        // Half an hour back: what is left of the hour is a bucket of its own.
        #expect(
            try starts(.hour, "Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z")
                == [
                    "2026-04-05T01:00:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30",
                ])
    }

    @Test func weeksBeginOnMondayAndMonthsOnTheFirst() throws {
        #expect(
            try starts(.week, "America/New_York", "2026-03-01T12:00:00Z", "2026-03-16T12:00:00Z")
                == ["2026-02-23T00:00:00-05:00", "2026-03-02T00:00:00-05:00", "2026-03-09T00:00:00-04:00", "2026-03-16T00:00:00-04:00"])
        #expect(
            try starts(.month, "America/New_York", "2025-12-31T12:00:00Z", "2026-04-01T04:00:00.001Z")
                == [
                    "2025-12-01T00:00:00-05:00", "2026-01-01T00:00:00-05:00", "2026-02-01T00:00:00-05:00", "2026-03-01T00:00:00-05:00",
                    "2026-04-01T00:00:00-04:00",
                ])
    }

    @Test func aDateThatTheZoneLeftOutIsNoBucket() throws {
        // Samoa went from 29 to 31 December 2011.
        #expect(
            try starts(.day, "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T09:00:00Z")
                == ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"])
        #expect(
            try starts(.week, "Pacific/Apia", "2011-12-25T12:00:00Z", "2012-01-02T12:00:00Z")
                == ["2011-12-19T00:00:00-10:00", "2011-12-26T00:00:00-10:00", "2012-01-02T00:00:00+14:00"])
    }

    @Test func clocksThatAreSetBackOverMidnightDoNotEndTheDay() throws {
        // At 00:01 of 29 October 2006 to 23:01 of the 28th.
        #expect(
            try starts(.day, "America/St_Johns", "2006-10-28T12:00:00Z", "2006-10-30T12:00:00Z")
                == ["2006-10-28T00:00:00-02:30", "2006-10-29T00:00:00-02:30", "2006-10-30T00:00:00-03:30"])
        let calendar = try calendar(.day, "America/St_Johns")
        let again = try #require(Timestamp(rfc3339: "2006-10-29T02:40:00Z"))
        #expect(calendar.start(of: again) == Timestamp(rfc3339: "2006-10-29T02:30:00Z"))
    }

    @Test(arguments: ["Europe/Berlin", "Africa/Casablanca", "Pacific/Apia", "America/St_Johns", "Australia/Lord_Howe", "Asia/Gaza"])
    func bucketsFollowEachOtherWithoutGapOrOverlap(zone: String) throws {
        var random = Seeded(UInt64(zone.utf8.count))
        for interval in CalendarInterval.allCases {
            let calendar = try calendar(interval, zone)
            let changes = calendar.rules.changes(in: Timestamp(milliseconds: 0)..<Timestamp(rfc3339: "2037-01-01T00:00:00Z")!)
            for _ in 0..<300 {
                // Near a change, or anywhere.
                let near = changes[random.below(changes.count)] + .milliseconds(random.below(3 * 86_400_000) - 86_400_000)
                let time = random.chance(60) ? near : Timestamp(milliseconds: Int64(random.below(2_000_000_000)) * 1_000 + 7)
                let (start, next) = (calendar.start(of: time), calendar.next(after: time))
                #expect(start <= time && time < next, "\(zone) \(interval) \(time.rfc3339)")
                #expect(calendar.start(of: start) == start && calendar.next(after: start) == next, "\(zone) \(interval) \(time.rfc3339)")
                #expect(
                    calendar.start(of: next) == next && calendar.start(of: next - .milliseconds(1)) == start,
                    "\(zone) \(interval) \(time.rfc3339)")
                // Rollups count quarters of an hour.
                if time.milliseconds > 63_072_000_000, interval != .minute, interval != .hour || !changes.contains(start) {
                    #expect(start.milliseconds.isMultiple(of: 900_000), "\(zone) \(start.rfc3339)")
                }
            }
        }
    }

    @Test func moreBucketsThanAreAllowedAreNone() throws {
        let calendar = try calendar(.minute, "Europe/Berlin")
        let start = noon
        #expect(calendar.starts(in: start..<start + .seconds(600), limit: 10)?.count == 10)
        #expect(calendar.starts(in: start..<start + .milliseconds(600_001), limit: 10) == nil)
        #expect(calendar.starts(in: start..<start, limit: 10) == [])
        #expect(
            try self.calendar(.month, "Europe/Berlin").starts(in: Timestamp.earliest..<Timestamp.latest, limit: 200_000)?.count == 119_989)
    }
}
