import GzipCodec
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import AnalyticsAPI

@Suite struct BodyLimitTests {
    private func service(limit: Int, inMemory: Int = 1 << 20) -> TestService {
        var service = TestService()
        service.settings.maximumBodyBytes = limit
        service.settings.maximumBodyBytesInMemory = inMemory
        return service
    }

    @Test func `a body at the limit is read, one beyond it is answered 413`() async throws {
        let event = Sample.event("a")
        try await service(limit: event.utf8.count).run { client in
            #expect(try await client.post("/api/v1/events", event).status == .accepted)
            let response = try await client.post("/api/v1/events", event + " ")
            #expect(response.status == .contentTooLarge && response.isProblem && response.code == "body_too_large")
            #expect(response.headers[.connection] == "close")
        }
    }

    @Test func `the limit is counted after decompression`() async throws {
        let bomb = try Gzip.compress([UInt8](repeating: 0x20, count: 4 << 20))
        #expect(bomb.count < 64 << 10)
        let service = service(limit: 64 << 10)
        try await service.run { client in
            let response = try await client.post("/api/v1/events/batch", bomb, [.contentEncoding: "gzip"])
            #expect(response.status == .contentTooLarge && response.code == "body_too_large")
        }
    }

    @Test func `compressed bytes that come to nothing are limited, too`() async throws {
        // Members of no content each: 20 bytes that decompress to none.
        let empty = try Gzip.compress([])
        let endless = Array(repeatElement(empty, count: 5_000).joined())
        try await service(limit: 10_000).run { client in
            let response = try await client.post("/api/v1/events/batch", endless, [.contentEncoding: "gzip"])
            #expect(response.status == .contentTooLarge)
        }
    }

    @Test func `bodies beyond the budget are answered 503, and what was held is given back`() async throws {
        let reader = BodyReader(limit: 1_000, budget: ByteBudget(limit: 1_500))
        func request(_ count: Int) -> Request {
            Request(
                head: HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/"),
                body: RequestBody(buffer: ByteBuffer(repeating: 0x20, count: count)))
        }
        func read(_ count: Int) async throws -> ByteBudget.Lease {
            let lease = reader.budget.lease()
            _ = try await reader.read(request(count), lease)
            return lease
        }
        var first: ByteBudget.Lease? = try await read(900)
        #expect(reader.budget.bytesInUse == 900)
        let problem = await #expect(throws: Problem.self) { try await read(700) }
        #expect(problem?.code == "overloaded" && problem?.status == .serviceUnavailable && problem?.headers[.retryAfter] == "1")
        var second: ByteBudget.Lease? = try await read(600)
        #expect(reader.budget.bytesInUse == 1_500 && first?.bytes == 900 && second?.bytes == 600)
        (first, second) = (nil, nil)
        #expect(reader.budget.bytesInUse == 0)
        _ = await #expect(throws: Problem.self) { try await read(1_001) }
        #expect(reader.budget.bytesInUse == 0)
    }
}
