import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct CollectorTests {
    private let broker = MemoryBroker()

    private func submit(_ count: Int, broken: Set<Int> = []) async throws -> SubmissionResult {
        let events = (0..<count).map { broken.contains($0) ? "{}" : #"{"id":"e\#($0)","type":"t","source":"s","data":1}"# }
        let horizons = IngestHorizons(firstRetentionDays: 0)
        return try await Collector(publisher: broker, limits: EventLimits(), horizons: horizons, clock: .fixed(noon), ids: .counting("r"))
            .submit(
                IngestRequest(project: Project.default, format: NativeFormat.batch, body: PaddedBytes("[\(events.joined(separator: ","))]"))
            )
    }

    @Test func whatTheBrokerConfirmsIsAccepted() async throws {
        let result = try await submit(250, broken: [7])
        #expect(result.accepted.map(\.index) == (0..<250).filter { $0 != 7 })
        #expect(result.rejected.first.map(\.index) == [7] && result.unconfirmed.isEmpty && result.unconfirmedReason == nil)
        let published = try broker.bodies.flatMap { try EnvelopeDecoder().decode($0).events }
        #expect(published.map(\.id) == result.accepted.map(\.id))
        #expect(published.map(\.ingestID) == result.accepted.map { "\(result.request):\($0.index)" })
    }

    @Test(arguments: [MemoryBroker.Answer.lose, .keepSilent])
    func whatIsNotConfirmedIsNeverAccepted(answer: MemoryBroker.Answer) async throws {
        broker.answer { _, message in message == 1 ? answer : .confirm }
        let result = try await submit(250, broken: [0])
        #expect(result.accepted.map(\.index) == Array(1...100) + Array(201..<250))
        #expect(result.unconfirmed.map(\.index) == Array(101...200) && result.unconfirmedReason != nil)
        #expect(result.rejected.count == 1)
    }

    @Test func anOutageConfirmsNothing() async throws {
        broker.faults.down([.publish])
        let result = try await submit(3)
        #expect(result.accepted.isEmpty && result.unconfirmed.count == 3 && broker.ready == 0)
    }

    @Test func nothingIsPublishedWhenEverythingIsRejected() async throws {
        let result = try await submit(2, broken: [0, 1])
        #expect(result.accepted.isEmpty && result.rejected.count == 2 && broker.ready == 0)
    }
}
