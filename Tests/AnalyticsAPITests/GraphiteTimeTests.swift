import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// When series begin and end, and where their buckets do.
@Suite struct GraphiteTimeTests {
    private static let now = Timestamp(rfc3339: "2026-03-01T12:00:00Z")!

    private static func rules(_ zone: String) throws -> ZoneRules {
        let name = try #require(ZoneName(zone))
        return try #require(ZoneDatabase.system.rules(of: name))
    }

    private static func range(
        _ from: String, _ until: String, zone: String = "UTC", step: GraphiteStep
    ) throws -> GraphiteRange {
        try GraphiteRange(
            zone: #require(ZoneName(zone)), rules: rules(zone), from: #require(Timestamp(rfc3339: from)),
            until: #require(Timestamp(rfc3339: until)), step: step)
    }

    private static func range(_ from: String, _ until: String, points: Int) throws -> GraphiteRange {
        try GraphiteRange(
            zone: .utc, rules: .utc, from: #require(Timestamp(rfc3339: from)), until: #require(Timestamp(rfc3339: until)), points: points)
    }

    @Test(arguments: [
        ("now", "2026-03-01T12:00:00Z"), ("-1h", "2026-03-01T11:00:00Z"), ("now-30min", "2026-03-01T11:30:00Z"),
        ("-30m", "2026-03-01T11:30:00Z"),
        ("-7d", "2026-02-22T12:00:00Z"), ("-1w", "2026-02-22T12:00:00Z"), ("-1mon", "2026-01-30T12:00:00Z"),
        ("-1y", "2025-03-01T12:00:00Z"),
        ("+10s", "2026-03-01T12:00:10Z"), ("1772366400", "2026-03-01T12:00:00Z"), ("0", "1970-01-01T00:00:00Z"),
        ("04:37_20260228", "2026-02-28T04:37:00Z"), ("20260228", "2026-02-28T00:00:00Z"),
    ])
    func `times are read in Graphite's forms`(text: String, expected: String) {
        #expect(GraphiteTime.moment(text, now: Self.now, rules: .utc)?.rfc3339 == Timestamp(rfc3339: expected)?.rfc3339)
    }

    @Test(arguments: [
        "", "h", "1h", "-h", "-1", "-1x", "--1h", "now-", "now1h", "yesterday", "12:00", "24:00_20260228", "04:37_20260230",
        "4:37_20260228", "-99999999999y",
        "9999999999999", "1e9", "1.5", "2026-03-01T12:00:00Z", "-400000d-", "04:37_2026022x", "-9999y",
    ])
    func `what is no time is refused`(text: String) {
        #expect(GraphiteTime.moment(text, now: Self.now, rules: .utc) == nil)
    }

    @Test func `a date is one of the zone's calendar`() throws {
        let berlin = try Self.rules("Europe/Berlin")
        #expect(GraphiteTime.moment("20260701", now: Self.now, rules: berlin)?.rfc3339 == "2026-06-30T22:00:00.000Z")
        #expect(GraphiteTime.moment("00:30_20260701", now: Self.now, rules: berlin)?.rfc3339 == "2026-06-30T22:30:00.000Z")
    }

    // MARK: Buckets

    @Test(arguments: [
        (GraphiteStep.minutes(5), "2026-03-01T09:55:00.000Z", "2026-03-01T12:05:00.000Z", 26),
        (.minutes(60), "2026-03-01T09:00:00.000Z", "2026-03-01T13:00:00.000Z", 4),
        (.minutes(180), "2026-03-01T09:00:00.000Z", "2026-03-01T15:00:00.000Z", 2),
        (.day, "2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.000Z", 1),
        (.week, "2026-02-23T00:00:00.000Z", "2026-03-02T00:00:00.000Z", 1),
        (.month, "2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", 1),
    ])
    func `buckets are whole, and hold the range`(step: GraphiteStep, first: String, end: String, count: Int) throws {
        let range = try Self.range("2026-03-01T09:58:31Z", "2026-03-01T12:00:01Z", step: step)
        #expect(range.starts.first?.rfc3339 == first && range.end.rfc3339 == end && range.starts.count == count)
        // At its ends, too.
        let exact = try Self.range(first, end, step: step)
        #expect(exact.starts == range.starts && exact.end == range.end)
    }

    @Test func `buckets begin where the zone's clocks show a full one, and where they are set`() throws {
        let kathmandu = try Self.range("2026-03-01T00:00:00Z", "2026-03-01T02:00:00Z", zone: "Asia/Kathmandu", step: .minutes(60))
        #expect(kathmandu.starts.map(\.rfc3339) == ["2026-02-28T23:15:00.000Z", "2026-03-01T00:15:00.000Z", "2026-03-01T01:15:00.000Z"])
        // At 01:00 UTC clocks go from 02:00 to 03:00.
        let spring = try Self.range("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", zone: "Europe/Berlin", step: .minutes(180))
        #expect(
            spring.starts.map(\.rfc3339).prefix(3)
                == ["2026-03-28T23:00:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-29T04:00:00.000Z"])
        #expect(spring.starts.count == 8 && spring.end.rfc3339 == "2026-03-29T22:00:00.000Z")
        let days = try Self.range("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", zone: "Europe/Berlin", step: .day)
        #expect(days.starts.map(\.rfc3339) == ["2026-03-27T23:00:00.000Z", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"])
    }

    @Test(arguments: [
        ("2026-03-01T11:00:00Z", 100, GraphiteStep.minutes(1)), ("2026-03-01T06:00:00Z", 300, .minutes(5)),
        ("2026-02-28T12:00:00Z", 300, .minutes(5)),
        ("2026-02-28T12:00:00Z", 100, .minutes(15)), ("2026-02-22T12:00:00Z", 1_000, .minutes(15)),
        ("2026-01-30T12:00:00Z", 1_000, .minutes(60)),
        ("2025-03-01T12:00:00Z", 1_000, .day), ("2025-03-01T12:00:00Z", 100, .week), ("1970-01-01T00:00:00Z", 1_000, .month),
        ("2026-02-28T12:00:00Z", 1, .week), ("2026-02-20T12:00:00Z", 1, .month),
    ])
    func `the finest buckets are taken that are not too many`(from: String, points: Int, step: GraphiteStep) throws {
        let range = try Self.range(from, "2026-03-01T12:00:00Z", points: points)
        #expect(range.step == step && (range.starts.count <= points || step == .month))
    }

    @Test func `a range with too many buckets is refused`() throws {
        #expect(throws: GraphiteFault.self) { try Self.range("2025-01-01T00:00:00Z", "2026-03-01T12:00:00Z", step: .minutes(1)) }
        #expect(throws: GraphiteFault.self) { try Self.range("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", points: 1_000) }
    }

    @Test func `a week before is the same weekday at the same time of day`() throws {
        func shift(_ text: String) throws -> GraphiteShift { GraphiteShift(try #require(GraphiteDuration(text))) }
        let week = try shift("7d")
        let range = try Self.range("2026-03-31T22:00:00Z", "2026-04-02T22:00:00Z", zone: "Europe/Berlin", step: .day)
        let before = try range.shifted(by: week)
        #expect(before.starts.map(\.rfc3339) == ["2026-03-24T23:00:00.000Z", "2026-03-25T23:00:00.000Z"])
        #expect(before.end.rfc3339 == "2026-03-26T23:00:00.000Z")
        #expect(before.starts.map { week.reversed.apply($0, range.rules) } == range.starts)
        #expect(week == .days(-7))
        #expect(try shift("-7d") == .days(-7))
        #expect(try shift("+1h") == .seconds(3_600))
        let millennia = try shift("3000y")
        #expect(throws: GraphiteFault.self) { try range.shifted(by: millennia) }
    }
}
