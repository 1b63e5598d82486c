import TestSupport
import Testing

@testable import AnalyticsCore

struct RFC3339Tests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.001Z", 1), ("1969-12-31T23:59:59.999Z", -1),
        ("2026-03-01T12:00:00Z", 1_772_366_400_000), ("2026-03-01t12:00:00z", 1_772_366_400_000),
        ("2026-03-01 12:00:00Z", 1_772_366_400_000), ("2026-03-01T17:30:00+05:30", 1_772_366_400_000),
        ("2026-03-01T00:01:00-11:59", 1_772_366_400_000), ("2026-03-01T12:00:00-00:00", 1_772_366_400_000),
        ("2026-03-01T12:00:00.1Z", 1_772_366_400_100), ("2026-03-01T12:00:00.12Z", 1_772_366_400_120),
        ("2026-03-01T12:00:00.1239999999999999999999Z", 1_772_366_400_123), ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("2024-02-29T23:59:59Z", 1_709_251_199_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("0000-12-31T23:30:00-01:00", -62_135_595_000_000),
    ])
    func reads(text: String, milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text) == Timestamp(milliseconds: milliseconds))
    }

    @Test(arguments: [
        "", "2026", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01T12:00Z", "2026-3-1T12:00:00Z", "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00,5Z", "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z", "2026-03-01T12:00:61Z", "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z", "2026-03-00T12:00:00Z", "2026-03-32T12:00:00Z", "2026-04-31T12:00:00Z", "2026-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z", "2026-03-01T12:00:00+0530", "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00+05:60",
        "2026-03-01T12:00:00+5:30", "2026-03-01T12:00:00Z ", " 2026-03-01T12:00:00Z", "2026-03-01_12:00:00Z", "+2026-03-01T12:00:00Z",
        "-026-03-01T12:00:00Z", "12026-03-01T12:00:00Z", "0000-12-31T23:59:59Z", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01",
        "２026-03-01T12:00:00Z", "2026-03-01T12:00:00\u{0}Z", "1772366400000",
    ])
    func refuses(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func whatIsWrittenIsReadBack() {
        var random = Seeded(3339)
        for _ in 0..<20_000 {
            let time = Timestamp(
                milliseconds: Int64.random(in: Timestamp.earliest.milliseconds...Timestamp.latest.milliseconds, using: &random))
            let text = time.rfc3339
            #expect(text.utf8.count == 24 && Timestamp(rfc3339: text) == time, "\(time.milliseconds)")
        }
    }

    @Test func textOrderIsTimeOrder() {
        var random = Seeded(1)
        for _ in 0..<2_000 {
            let range = Timestamp.earliest.milliseconds...Timestamp.latest.milliseconds
            let (a, b) = (Int64.random(in: range, using: &random), Int64.random(in: range, using: &random))
            #expect((a < b) == (Timestamp(milliseconds: a).rfc3339 < Timestamp(milliseconds: b).rfc3339), "\(a), \(b)")
        }
    }

    @Test func everyDayOfFourCenturiesHasItsOwnDate() {
        var previous = ""
        for day in Int64(-719_162)..<(-719_162 + 146_097) {
            let text = Timestamp(milliseconds: day * 86_400_000).rfc3339
            #expect(text > previous && text.hasSuffix("T00:00:00.000Z"))
            previous = text
        }
        #expect(previous.hasPrefix("0400-12-31"))
    }

    @Test(arguments: [Int64.min, -62_135_596_800_001, 253_402_300_800_000, .max])
    func whatCannotBeWrittenIsWrittenAsTheNearestThatCan(milliseconds: Int64) {
        let expected = milliseconds < 0 ? "0001-01-01T00:00:00.000Z" : "9999-12-31T23:59:59.999Z"
        #expect(Timestamp(milliseconds: milliseconds).rfc3339 == expected)
    }

    @Test func bucketsRoundDown() {
        #expect(Timestamp(milliseconds: -1).minute == -1 && Timestamp(milliseconds: -60_000).minute == -1)
        #expect(Timestamp(milliseconds: -60_001).minute == -2 && Timestamp(milliseconds: 59_999).minute == 0)
        #expect(Timestamp(milliseconds: -1).hour == -1 && Timestamp(milliseconds: -1).day == -1)
    }
}
