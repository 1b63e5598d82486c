import HTTPTypes
import HummingbirdTesting
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// What answers to events hold in memory.
@Suite struct CollectResponseTests {
    @Test func `an answer to accepted events is not refused: it lists fewer rejections`() async throws {
        let field = String(repeating: "f", count: 500)
        let body = "[" + ([Sample.event("a")] + Array(repeating: #"{"\#(field)":1}"#, count: 900)).joined(separator: ",") + "]"
        var service = TestService()
        service.settings.maximumBodyBytesInMemory = body.utf8.count
        try await service.run { client in
            let answer = try await client.post("/api/v1/events/batch", body)
            #expect(answer.status == .accepted && answer.json["accepted"] as? Int == 1)
            let listed = try #require(answer.json["rejected"] as? [[String: Any]])
            #expect((200..<800).contains(listed.count) && listed.map { $0["index"] as? Int } == (1...listed.count).map { $0 })
            #expect(answer.json["rejectedCount"] as? Int == 900)
        }
    }

    @Test func `an answer keeps what its body took, and no more`() {
        let budget = ByteBudget(limit: 100_000)
        let (lease, other) = (budget.lease(), budget.lease())
        #expect(lease.grow(by: 50_000) && other.grow(by: 50_000))
        var rejected = Rejections()
        for index in 0..<500 { rejected.append(Rejection(index: index, code: .missingField, message: String(repeating: "m", count: 500))) }
        var result = SubmissionResult(request: "r", accepted: [AcceptedEvent(index: 0, id: "a")], rejected: rejected)
        CollectResponse.fit(&result, into: lease)
        #expect(lease.bytes == 50_000 && result.size <= 50_000 && result.size > 49_000 && result.rejected.count == 500)
        // A small one gives back what it does not take.
        var small = SubmissionResult(request: "r", accepted: [AcceptedEvent(index: 0, id: "a")])
        CollectResponse.fit(&small, into: lease)
        #expect(lease.bytes == small.size && budget.bytesInUse == 50_000 + small.size)
    }

    @Test func `what rejections say is clipped as they are kept`() {
        var rejected = Rejections()
        let long = String(repeating: "é", count: 10_000)
        rejected.append(Rejection(field: long, code: .unknownField, message: long))
        #expect(rejected.first[0].field == String(repeating: "é", count: 300) + "…" && rejected.first[0].message == rejected.first[0].field)
        #expect(rejected.size < 1_500)
    }
}
