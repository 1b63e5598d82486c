import AnalyticsCore
import HTTPTypes
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

/// Questions that take too long, come too many at a time, or whose askers have gone.
struct QueryLimitTests {
    @Test func aQuestionThatTakesTooLongIsStoppedWithA503ThatSaysWhatToNarrow() async throws {
        var service = TestService()
        service.queries.timeout = .seconds(2)
        let listings = EndlessListings(of: service.store)
        try await service.run { client in
            let answer = try await client.get("/api/v1/events?data.a=1")
            #expect(answer.status == .serviceUnavailable)
            let text = String(buffer: answer.body)
            #expect(text.contains(#""code":"query_timeout""#) && text.contains("'from'"), "\(text)")
        }
        #expect(listings.cancelled == 1)
    }

    @Test func questionsBehindAFullQueueAreAnswered503AtOnce() async throws {
        var service = TestService()
        service.queries = QueryGate.Limits(concurrent: 1, waiting: 1, timeout: .seconds(10))
        _ = EndlessListings(of: service.store)
        try await service.run { client in
            let codes = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<10 { group.addTask { String(buffer: try await client.get("/api/v1/events").body) } }
                return try await group.reduce(into: [String]()) { $0.append($1) }
            }
            #expect(codes.count { $0.contains(#""code":"overloaded""#) } == 8, "\(codes)")
            #expect(codes.count { $0.contains(#""code":"query_timeout""#) } == 2)
        }
    }

    @Test(arguments: ["/api/v1/events?data.a=1"])
    func aQuestionWhoseAskerHasGoneIsStopped(path: String) async throws {
        let service = TestService()
        let listings = EndlessListings(of: service.store)
        try await service.run(.live) { client in
            var asker: UnreadConnection? = try UnreadConnection(port: try #require(client.port))
            try await asker?.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually("the listing begins") { listings.begun == 1 }
            asker = nil
            try await eventually("the listing ends") { listings.cancelled == 1 }
            #expect(listings.begun == 1)
        }
    }
}
