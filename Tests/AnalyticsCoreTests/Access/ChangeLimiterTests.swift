import TestSupport
import Testing

@testable import AnalyticsCore

struct ChangeLimiterTests {
    private let clock = ManualClock()
    private let limiter: ChangeLimiter

    init() {
        limiter = ChangeLimiter(elapsed: clock.elapsed)
    }

    /// How many changes the author can make at this moment.
    private func changes(by author: ChangeAuthor, from peer: String = "192.0.2.1") -> Int {
        (0..<100).prefix { _ in limiter.take(by: author, from: peer).isAllowed }.count
    }

    @Test func anAuthorMakesSixtyChangesAtOnceAndThenTenPerSecond() {
        #expect(changes(by: .key("a")) == 60)
        #expect(limiter.take(by: .key("a"), from: "").retryAfter == .milliseconds(100))
        clock.advance(by: .seconds(1))
        #expect(changes(by: .key("a")) == 10)
        clock.advance(by: .seconds(60))
        #expect(changes(by: .key("a")) == 60)
    }

    @Test func eachAuthorIsCountedAlone() {
        let authors: [ChangeAuthor] = [.key("a"), .key("b"), .administrator, .account("a", session: "1"), .anonymous]
        for author in authors { #expect(changes(by: author) == 60, "\(author)") }
    }

    @Test func anAccountHasNoMoreWithManySessionsAndAddresses() {
        #expect(changes(by: .account("a", session: "1")) == 60)
        #expect(changes(by: .account("a", session: "2"), from: "192.0.2.2") == 0)
    }

    @Test func authorsWithoutACredentialAreCountedByTheirNetwork() {
        #expect(changes(by: .anonymous, from: "2001:db8:0:1::1") == 60)
        #expect(changes(by: .anonymous, from: "2001:db8:0:1:ffff::2") == 0)
        #expect(changes(by: .anonymous, from: "2001:db8:0:2::1") == 60)
        #expect(changes(by: .anonymous, from: "192.0.2.7") == 60)
    }
}
