import AnalyticsCore
import TestSupport
import Testing

@testable import analytics

struct ExpiryWatchTests {
    private static let week: Duration = .seconds(7 * 86_400)

    @Test func aCertificateIsWarnedOfOnceAWeekBeforeItsEndAndOnceAfter() {
        var watch = ExpiryWatch()
        #expect(watch.stage(of: nil, at: noon) == nil)
        #expect(watch.stage(of: noon, at: noon - Self.week) == nil)
        #expect(watch.stage(of: noon, at: noon - Self.week + .milliseconds(1)) == .expiresSoon)
        #expect(watch.stage(of: noon, at: noon - .milliseconds(1)) == nil)
        #expect(watch.stage(of: noon, at: noon) == .expired)
        #expect(watch.stage(of: noon, at: noon + Self.week) == nil)
    }

    @Test func aNewCertificateIsWarnedOfAgain() {
        var watch = ExpiryWatch()
        #expect(watch.stage(of: noon, at: noon) == .expired)
        #expect(watch.stage(of: noon + .seconds(60), at: noon) == .expiresSoon)
        #expect(watch.stage(of: noon + Self.week, at: noon) == nil)
    }
}
