import Testing

@testable import AnalyticsCore

/// Times may come from a damaged store, and durations from two of them: no sum of them ends the process.
struct TimestampTests {
    private static let times = [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max].map(Timestamp.init(milliseconds:)) + [.earliest, .latest]

    @Test func arithmeticIsHeldTo64Bits() {
        let first = Timestamp(milliseconds: .min)
        let last = Timestamp(milliseconds: .max)
        #expect(last + .milliseconds(1) == last && first - .milliseconds(1) == first)
        #expect(last - .milliseconds(-1) == last && first + .milliseconds(-1) == first)
        #expect(last - first == .milliseconds(Int64.max) && first - last == .milliseconds(Int64.min))
        #expect(Timestamp(milliseconds: 0) - first == .milliseconds(Int64.max))
        #expect(first + (last - first) == Timestamp(milliseconds: -1))
        for time in Self.times {
            for other in Self.times {
                let duration = time - other
                _ = (time + duration, time - duration, duration.nanoseconds, duration.milliseconds, duration.seconds)
            }
        }
    }

    @Test func durationsAreHeldTo64Bits() {
        #expect(Duration.seconds(Int64.max).milliseconds == .max && Duration.seconds(Int64.min).milliseconds == .min)
        #expect((Timestamp.latest - .earliest).nanoseconds == .max && (Timestamp.earliest - .latest).nanoseconds == .min)
        #expect(Duration.milliseconds(-1_999).milliseconds == -1_999 && Duration.microseconds(-1_999).milliseconds == -1)
        #expect(Duration.milliseconds(1).nanoseconds == 1_000_000 && Duration.nanoseconds(-1).nanoseconds == -1)
    }

    @Test func bucketsOfEveryTimeBeginAndAreIndexed() {
        for time in Self.times {
            for tier in RollupTier.allCases {
                let index = time.index(of: tier.milliseconds)
                let start = Timestamp(index: index, of: tier.milliseconds)
                #expect(start <= time)
                #expect(tier.indexes.contains(index) == time.isValid)
            }
            _ = (time.minute, time.hour, time.day, time.rfc3339)
        }
        #expect(Timestamp(minute: .max) == Timestamp(milliseconds: .max) && Timestamp(minute: .min) == Timestamp(milliseconds: .min))
    }
}
