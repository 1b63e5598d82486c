import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct RateLimiterTests {
    private let directory = ProjectDirectory()
    private let clock = ManualClock()
    private let limiter: RateLimiter

    init() {
        limiter = RateLimiter(projects: directory, elapsed: clock.elapsed)
        allow(requests: 2, events: 100)
    }

    private func allow(requests: Int?, events: Int?) {
        let rates = ProjectRates(requestsPerSecond: requests, eventsPerSecond: events)
        directory.take([ProjectRecord(project: "shop", rates: rates), ProjectRecord(project: "blog", rates: rates)])
    }

    @Test func aProjectWithoutARateIsNotLimited() async {
        for _ in 0..<1_000 {
            #expect(await limiter.takeRequest(of: "none", sendsEvents: true) == nil)
            #expect(await limiter.takeEvents(1_000_000, of: "none") == nil)
        }
    }

    @Test func eachProjectHasItsOwnRates() async {
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 1))
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 0))
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 0, retryAfter: .milliseconds(500)))
        #expect(await limiter.takeEvents(60, of: "shop") == Rate(limit: 100, remaining: 40))
        #expect(await limiter.takeRequest(of: "blog", sendsEvents: true) == Rate(limit: 2, remaining: 1))
        #expect(await limiter.takeEvents(100, of: "blog") == Rate(limit: 100, remaining: 0))
        clock.advance(by: .milliseconds(500))
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true)?.isAllowed == true)
    }

    @Test func sendingUsesUpNothingOfAsking() async {
        for _ in 0..<3 { _ = await limiter.takeRequest(of: "shop", sendsEvents: true) }
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: false) == Rate(limit: 2, remaining: 1))
    }

    @Test func aNewRateAppliesAtOnce() async {
        for _ in 0..<3 { _ = await limiter.takeRequest(of: "shop", sendsEvents: true) }
        allow(requests: 5, events: nil)
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 5, remaining: 4))
        #expect(await limiter.takeEvents(1_000, of: "shop") == nil)
    }

    @Test func anEventCountsOnceForEachPartOfItsBody() async {
        let part = RateLimiter.bytesPerEvent
        #expect(await limiter.takeEvents(1, bytes: part, of: "shop") == Rate(limit: 100, remaining: 99))
        #expect(await limiter.takeEvents(1, bytes: part + 1, of: "shop") == Rate(limit: 100, remaining: 97))
        #expect(await limiter.takeEvents(7, bytes: 3 * part, of: "shop") == Rate(limit: 100, remaining: 90))
    }

    // MARK: Keys

    @Test func aKeyWithARateOfItsOwnHasThatOfItsProjectToo() async {
        let key = LimitedKey(id: "k", rates: ProjectRates(requestsPerSecond: 1))
        var allowed = Rate(limit: 1, remaining: 0)
        allowed.isOfKey = true
        #expect(await limiter.takeRequest(of: "shop", key: key, sendsEvents: true) == allowed)
        var refused = Rate(limit: 1, remaining: 0, retryAfter: .seconds(1))
        refused.isOfKey = true
        for _ in 0..<10 { #expect(await limiter.takeRequest(of: "shop", key: key, sendsEvents: true) == refused) }
        // What the key was refused took nothing from the project.
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 0))
        #expect(await limiter.takeEvents(100, of: "shop", key: key) == Rate(limit: 100, remaining: 0))
        #expect(await limiter.takeRequest(of: "none", key: key, sendsEvents: true) == allowed)
    }

    @Test func aKeyWithARateCountsThoughNoProjectHasOne() async {
        allow(requests: nil, events: nil)
        let key = LimitedKey(id: "k", rates: ProjectRates(requestsPerSecond: 1))
        #expect(await limiter.takeRequest(of: "shop", key: key, sendsEvents: true)?.isAllowed == true)
        #expect(await limiter.takeRequest(of: "shop", key: key, sendsEvents: true)?.isAllowed == false)
        #expect(await limiter.takeRequest(of: "shop", sendsEvents: true) == nil)
    }

    @Test func whatTheProjectIsRefusedTakesNothingFromTheKey() async {
        let key = LimitedKey(id: "k", rates: ProjectRates(requestsPerSecond: 3))
        for _ in 0..<2 { _ = await limiter.takeRequest(of: "shop", sendsEvents: true) }
        let refused = Rate(limit: 2, remaining: 0, retryAfter: .milliseconds(500))
        for _ in 0..<10 { #expect(await limiter.takeRequest(of: "shop", key: key, sendsEvents: true) == refused) }
        clock.advance(by: .seconds(1))
        #expect(await limiter.takeRequest(of: "shop", key: key, sendsEvents: true) == Rate(limit: 2, remaining: 1))
    }

    // MARK: Several processes

    private func allowed(_ count: Int, _ limiters: RateLimiter...) async -> Int {
        var allowed = 0
        for number in 0..<count {
            let rate = await limiters[number % limiters.count].takeRequest(of: "shop", sendsEvents: true)
            if rate?.isAllowed == true { allowed += 1 }
        }
        return allowed
    }

    @Test func processesWithOneStoreKeepToTheRateTogether() async {
        allow(requests: 10, events: nil)
        let store = SharedBuckets(clock.elapsed)
        let one = RateLimiter(projects: directory, store: store, elapsed: clock.elapsed)
        let other = RateLimiter(projects: directory, store: store, elapsed: clock.elapsed)
        // A leased token may be left in each.
        let first = await allowed(30, one, other)
        #expect((8...10).contains(first))
        #expect(await one.takeRequest(of: "shop", sendsEvents: false)?.isAllowed == true)
        clock.advance(by: .seconds(2))
        let second = await allowed(30, one, other)
        #expect((8...10).contains(second))
        #expect(Set(store.requests.map(\.bucket)) == ["shop:sending:10", "shop:asking:10"])
    }

    @Test func whileTheStoreIsDownEachProcessHasTheWholeRate() async throws {
        allow(requests: 10, events: nil)
        let store = SharedBuckets(clock.elapsed)
        store.isDown = true
        let one = RateLimiter(projects: directory, store: store, elapsed: clock.elapsed)
        let other = RateLimiter(projects: directory, store: store, elapsed: clock.elapsed)
        #expect(await allowed(30, one, other) == 20)
        store.isDown = false
        // A request of each starts an attempt, and waits for none.
        try await eventually("both lease again") {
            clock.advance(by: .seconds(2))
            let count = await allowed(30, one, other)
            return (8...11).contains(count)
        }
    }

    @Test func requestsThatComeTogetherShareALease() async throws {
        allow(requests: 100, events: nil)
        let store = SharedBuckets(clock.elapsed)
        store.hold()
        let limiter = RateLimiter(projects: directory, store: store, elapsed: clock.elapsed)
        let tasks = (0..<20).map { _ in Task { await limiter.takeRequest(of: "shop", sendsEvents: true) } }
        try await eventually("one asks") { store.requests.count == 1 }
        store.release()
        for task in tasks { #expect(await task.value?.isAllowed == true) }
        #expect(store.requests.count < 12)
    }

    // MARK: The collector

    private func submit(_ count: Int, broken: Int = 0, to broker: MemoryBroker) async throws -> SubmissionResult {
        let good = #"{"type":"t","source":"s","data":1}"#
        let events = Array(repeating: good, count: count) + Array(repeating: "{}", count: broken)
        let collector = Collector(
            publisher: broker, limits: EventLimits(), horizons: IngestHorizons(firstRetentionDays: 0), rates: limiter,
            clock: .fixed(noon), ids: .counting("r"))
        let body = PaddedBytes("[\(events.joined(separator: ","))]")
        return try await collector.submit(IngestRequest(project: "shop", format: NativeFormat.batch, body: body))
    }

    @Test func eventsBeyondTheRateAreRefusedBeforeTheyArePublished() async throws {
        let broker = MemoryBroker()
        #expect(try await submit(60, broken: 20, to: broker).accepted.count == 60)
        let published = broker.bodies.count
        let error = await #expect(throws: IngestError.self) { try await submit(21, to: broker) }
        #expect(error?.code == .rateExceeded && error?.rate == Rate(limit: 100, remaining: 20, retryAfter: .milliseconds(10)))
        #expect(broker.bodies.count == published, "rejected events count, and nothing is published")
        #expect(try await submit(20, to: broker).accepted.count == 20)
    }

    @Test func aBatchThatIsLargerThanTheRatePassesAloneAndDelaysTheNext() async throws {
        let broker = MemoryBroker()
        #expect(try await submit(300, to: broker).accepted.count == 300)
        clock.advance(by: .seconds(2))
        await #expect(throws: IngestError.self) { try await submit(1, to: broker) }
        clock.advance(by: .milliseconds(10))
        #expect(try await submit(1, to: broker).accepted.count == 1)
    }

    @Test func aBodyThatIsNoBatchTakesNothing() async throws {
        let broker = MemoryBroker()
        await #expect(throws: IngestError.self) { try await submit(0, to: broker) }
        #expect(try await submit(100, to: broker).accepted.count == 100)
    }
}
