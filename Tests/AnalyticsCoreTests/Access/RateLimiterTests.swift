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

    @Test func aProjectWithoutARateIsNotLimited() {
        for _ in 0..<1_000 {
            #expect(limiter.takeRequest(of: "none", sendsEvents: true) == nil && limiter.takeEvents(1_000_000, of: "none") == nil)
        }
    }

    @Test func eachProjectHasItsOwnRates() {
        #expect(limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 1))
        #expect(limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 0))
        #expect(limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 2, remaining: 0, retryAfter: .milliseconds(500)))
        #expect(limiter.takeEvents(60, of: "shop") == Rate(limit: 100, remaining: 40))
        #expect(limiter.takeRequest(of: "blog", sendsEvents: true) == Rate(limit: 2, remaining: 1))
        #expect(limiter.takeEvents(100, of: "blog") == Rate(limit: 100, remaining: 0))
        clock.advance(by: .milliseconds(500))
        #expect(limiter.takeRequest(of: "shop", sendsEvents: true)?.isAllowed == true)
    }

    @Test func sendingUsesUpNothingOfAsking() {
        for _ in 0..<3 { _ = limiter.takeRequest(of: "shop", sendsEvents: true) }
        #expect(limiter.takeRequest(of: "shop", sendsEvents: false) == Rate(limit: 2, remaining: 1))
    }

    @Test func aNewRateAppliesAtOnce() {
        for _ in 0..<3 { _ = limiter.takeRequest(of: "shop", sendsEvents: true) }
        allow(requests: 5, events: nil)
        #expect(limiter.takeRequest(of: "shop", sendsEvents: true) == Rate(limit: 5, remaining: 4))
        #expect(limiter.takeEvents(1_000, of: "shop") == nil)
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
