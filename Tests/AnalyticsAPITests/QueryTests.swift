import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite struct QueryTests {
    private func service(_ events: [String]) async throws -> TestService {
        let service = TestService()
        try await service.run { client in
            let response = try await client.post("/api/v1/events/batch", "[\(events.joined(separator: ","))]")
            #expect(response.json["accepted"] as? Int == events.count)
        }
        return service
    }

    private func event(_ id: String, _ type: String, _ source: String, minute: Int) -> String {
        #"{"id":"\#(id)","type":"\#(type)","source":"\#(source)","timestamp":"2026-03-01T11:\#(minute):00Z","data":null}"#
    }

    /// In which ``Sample/event(_:_:)`` lies.
    private static let sampleMinute = BucketKey(project: "default", index: Timestamp(rfc3339: "2026-03-01T11:59:00Z")!.minute)

    // MARK: One event

    @Test func `a stored event has all that was sent and when it came`() async throws {
        let all = Sample.event("a", #","correlationId":"c","metadata":{"k":[1]},"userId":"u","anonymousId":"an","sessionId":"s""#)
        let service = try await service([all])
        try await service.run { client in
            let response = try await client.get("/api/v1/events/a")
            #expect(response.status == .ok)
            let expected =
                #"{"project":"default","id":"a","type":"page_view","source":"web","timestamp":"2026-03-01T11:59:00.000Z","data":{"n":1},"#
                + #""correlationId":"c","metadata":{"k":[1]},"userId":"u","anonymousId":"an","sessionId":"s","#
                + #""receivedAt":"2026-03-01T12:00:00.000Z","processedAt":"2026-03-01T12:00:00.000Z"}"#
            #expect(response.text == expected)
        }
    }

    @Test func `a corrected timestamp is shown with the original`() async throws {
        let service = TestService()
        try await service.run { client in
            _ = try await client.post("/api/v1/events/batch", #"{"sentAt":"2026-03-01T13:00:00Z","events":[\#(Sample.event("a"))]}"#)
            let event = try await client.get("/api/v1/events/a").json
            #expect(event["timestamp"] as? String == "2026-03-01T10:59:00.000Z")
            #expect(event["originalTimestamp"] as? String == "2026-03-01T11:59:00.000Z")
        }
    }

    @Test(arguments: ["a/b", "a b", "a+b", "ü", "counts", "batch", "100%", "..", "?x=1#y"])
    func `an id is found percent-encoded, whatever it holds`(id: String) async throws {
        let service = try await service([Sample.event(id)])
        try await service.run { client in
            let encoded = id.utf8.map { String(format: "%%%02x", $0) }.joined()
            let response = try await client.get("/api/v1/events/\(encoded)")
            #expect(response.status == .ok && response.json["id"] as? String == id)
        }
    }

    @Test(arguments: ["nothing", "%00", "%zz", "%ff", "a%2"])
    func `an id that is not stored is answered 404`(id: String) async throws {
        try await TestService().run { client in
            let response = try await client.get("/api/v1/events/\(id)")
            #expect(response.status == .notFound && response.isProblem && response.code == "event_not_found")
        }
    }

    // MARK: Listing

    @Test func `pages go from the newest to the oldest and neither skip nor repeat`() async throws {
        let service = try await service((10..<30).map { event("e\($0)", "t", "s", minute: 10 + $0 / 2) })
        try await service.run { client in
            var ids: [String] = []
            var cursor: String?
            repeat {
                let page = try await client.get("/api/v1/events?limit=7" + (cursor.map { "&cursor=\($0)" } ?? "")).json
                ids += try #require(page["events"] as? [[String: Any]]).compactMap { $0["id"] as? String }
                cursor = page["nextCursor"] as? String
            } while cursor != nil
            #expect(ids == (10..<30).reversed().map { "e\($0)" })
        }
    }

    @Test func `large events make a page shorter, and it goes on`() async throws {
        let text = String(repeating: "x", count: 60_000)
        let service = TestService()
        let events = (100..<400).map { number in
            let event = Event(
                project: "default", id: "e\(number)", type: "t", source: "s", timestamp: TestService.now,
                data: JSONText(string: text), receivedAt: TestService.now, ingestID: "r")
            return StoredEvent(event: event, processedAt: TestService.now, context: nil, fingerprint: 0)
        }
        _ = try await service.store.insert(events)
        try await service.run { client in
            var ids: [String] = []
            var cursor: String?
            var pages = 0
            repeat {
                let response = try await client.get("/api/v1/events?limit=1000" + (cursor.map { "&cursor=\($0)" } ?? ""))
                #expect(response.body.readableBytes < 9_000_000)
                ids += try #require(response.json["events"] as? [[String: Any]]).compactMap { $0["id"] as? String }
                cursor = response.json["nextCursor"] as? String
                pages += 1
            } while cursor != nil
            #expect(ids == (100..<400).reversed().map { "e\($0)" })
            #expect(pages == 3)
        }
    }

    @Test func `the last page says null`() async throws {
        try await TestService().run { client in
            let response = try await client.get("/api/v1/events")
            #expect(response.text == #"{"events":[],"nextCursor":null}"#)
        }
    }

    @Test func `filters reach the store as they are`() async throws {
        let service = TestService()
        try await service.run { client in
            let query =
                "type=a&type=b%20c&source=s&userId=u&anonymousId=an&correlationId=.%2A"
                + "&from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00%2B02:00&data.cart.currency=EUR&data.n=1&data.n=&limit=3"
            let response = try await client.get("/api/v1/events?\(query)")
            #expect(response.status == .ok)
        }
        let filter = try #require(service.store.listed)
        #expect(
            filter
                == Selection(
                    project: "default", types: ["a", "b c"], sources: ["s"], userIds: ["u"], anonymousIds: ["an"], correlationIds: [".*"],
                    data: [DataCondition(path: ["cart", "currency"], values: ["EUR"]), DataCondition(path: ["n"], values: ["1", ""])],
                    from: Timestamp(rfc3339: "2026-03-01T00:00:00Z"), to: Timestamp(rfc3339: "2026-03-01T22:00:00Z")))
    }

    @Test func `a plus in an offset may come unencoded`() async throws {
        let service = TestService()
        try await service.run { client in _ = try await client.get("/api/v1/events?from=2026-03-01T01:00:00+01:00") }
        #expect(service.store.listed?.from == Timestamp(rfc3339: "2026-03-01T00:00:00Z"))
    }

    @Test(arguments: [
        "type[$ne]=x", "type%5B%24ne%5D=x", "$where=1", "%24where=1", "data.$where=1", "data.a.$gt=1", "data.=1", "data.a..b=1", "data..=1",
        "data." + Array(repeating: "a", count: 32).joined(separator: ".") + "=null",
        "data." + Array(repeating: "0", count: 5).joined(separator: ".") + "=null", "data.a.b.c.d.1=x",
        "data[a]=1", "limit=0", "limit=1001", "limit=ten", "limit=", "limit=1&limit=2", "cursor=nonsense", "cursor=", "from=yesterday",
        "from=2026-03-01",
        "from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "type=", "project=other",
        "TYPE=a",
        "type=%ff", "type=%0", "type=a%00b", "data.a%00b=1", "%=1", "unknown",
    ])
    func `what is no filter is answered 400 and never reaches the store`(query: String) async throws {
        let service = TestService()
        try await service.run { client in
            let response = try await client.get("/api/v1/events?\(query)")
            #expect(response.status == .badRequest && response.isProblem)
            #expect(["invalid_parameter", "unknown_parameter"].contains(response.code))
        }
        #expect(service.store.listed == nil)
    }

    @Test func `an unknown parameter is told which are known`() async throws {
        try await TestService().run { client in
            let response = try await client.get("/api/v1/events?typ=a")
            #expect(response.code == "unknown_parameter" && response.json["parameter"] as? String == "typ")
            let detail = try #require(response.json["detail"] as? String)
            #expect(detail.contains("'typ'") && detail.contains("correlationId") && detail.contains("data.<path>"))
            #expect(try await client.get("/api/v1/events/a?verbose=1").code == "unknown_parameter")
        }
    }

    @Test func `a filter has a bounded number of alternatives`() async throws {
        try await TestService().run { client in
            let query = (0..<100).map { "type=\($0)" }.joined(separator: "&")
            let most = try await client.get("/api/v1/events?" + query)
            let more = try await client.get("/api/v1/events?type=x&" + query)
            #expect(most.status == .ok && more.status == .badRequest)
        }
    }

    // MARK: Counts

    @Test func `counts come by type, largest first, and from the cache the second time`() async throws {
        let service = try await service([
            event("1", "rare", "web", minute: 10), event("2", "often", "web", minute: 10), event("3", "often", "app", minute: 20),
            event("4", "often", "app", minute: 30),
        ])
        try await service.run { client in
            let first = try await client.get("/api/v1/events/counts")
            #expect(first.text == #"{"from":null,"to":null,"total":4,"counts":{"often":3,"rare":1},"other":0}"#)
            #expect(first.headers[.init("X-Cache")!] == "MISS")
            let second = try await client.get("/api/v1/events/counts")
            #expect(second.text == first.text && second.headers[.init("X-Cache")!] == "HIT")
            let range = try await client.get(
                "/api/v1/events/counts?groupBy=source&from=2026-03-01T11:10:00Z&to=2026-03-01T11:30:00Z&type=often&type=x&source=app&source=web"
            )
            let expected =
                #"{"from":"2026-03-01T11:10:00.000Z","to":"2026-03-01T11:30:00.000Z","total":2,"counts":{"app":1,"web":1},"other":0}"#
            #expect(range.text == expected)
        }
    }

    @Test(arguments: [
        "groupBy=day", "groupBy=", "from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "userId=u", "anonymousId=u",
        "limit=0", "limit=10001", "limit=1&limit=1", "limit=", "limit=1.5", "data.a=1", "type[$ne]=x",
        "to=now",
    ])
    func `what counts do not know is answered 400`(query: String) async throws {
        try await TestService().run { client in
            let response = try await client.get("/api/v1/events/counts?\(query)")
            #expect(response.status == .badRequest && response.isProblem)
        }
    }

    @Test func `counts name as many groups as are asked for and sum the others`() async throws {
        try await TestService().run { client in
            for (id, type) in ["a", "a", "__other__", "b", "other"].enumerated() {
                let event = #"{"id":"\#(id)","type":"\#(type)","source":"web","timestamp":"2026-03-01T11:59:00Z","data":{}}"#
                _ = try await client.post("/api/v1/events", event)
            }
            for (limit, expected) in [
                ("limit=1", #""total":5,"counts":{"a":2},"other":3}"#),
                ("limit=2", #""total":5,"counts":{"a":2,"__other__":1},"other":2}"#),
                ("limit=10000", #""total":5,"counts":{"a":2,"__other__":1,"b":1,"other":1},"other":0}"#),
            ] {
                for cached in ["MISS", "HIT"] {
                    let response = try await client.get("/api/v1/events/counts?\(limit)")
                    #expect(response.text == #"{"from":null,"to":null,"# + expected)
                    #expect(response.headers[.init("X-Cache")!] == cached)
                }
            }
        }
    }

    @Test func `counts that take more than one answer may are answered 503, without a time to ask again`() async throws {
        let service = TestService()
        try await service.run { client in
            _ = try await client.post("/api/v1/events", Sample.event("a"))
            try await service.store.raiseWatermark(of: "default", to: TestService.now)
            service.store.edit(.minute, Self.sampleMinute) { $0.table = .overflow }
            let response = try await client.get("/api/v1/events/counts?from=2026-03-01T11:59:00Z&to=2026-03-01T12:00:00Z")
            #expect(response.status == .serviceUnavailable && response.isProblem && response.code == "query_too_large", "\(response.text)")
            #expect(response.headers[.retryAfter] == nil)
            #expect(response.json["minute"] as? String != nil)
        }
    }

    @Test func `a range that cuts a minute whose events are deleted is answered 400, with the moment from which all are there`()
        async throws
    {
        let service = TestService()
        try await service.run { client in
            _ = try await client.post("/api/v1/events", Sample.event("a"))
            try await service.store.raiseWatermark(of: "default", to: TestService.now)
            service.store.delete(id: "a", project: "default")
            let whole = try await client.get("/api/v1/events/counts?from=2026-03-01T11:59:00Z&to=2026-03-01T12:00:00Z")
            #expect(whole.status == .ok && whole.json["total"] as? Int == 1, "\(whole.text)")
            let cut = try await client.get("/api/v1/events/counts?from=2026-03-01T11:59:00.001Z&to=2026-03-01T12:00:00Z")
            #expect(cut.status == .badRequest && cut.isProblem && cut.code == "expired_range", "\(cut.text)")
            #expect(cut.json["watermark"] as? String == "2026-03-01T12:00:00.000Z")
        }
    }

    // MARK: The store is away

    @Test(arguments: ["/api/v1/events", "/api/v1/events/a", "/api/v1/events/counts"])
    func `a store that is away is answered 503`(uri: String) async throws {
        let service = TestService()
        service.store.faults.down([.read])
        try await service.run { client in
            let response = try await client.get(uri)
            #expect(response.status == .serviceUnavailable && response.isProblem && response.code == "store_unavailable")
            #expect(response.headers[.retryAfter] == "1")
        }
    }

    @Test func `a fault of the service's is answered 500 without its inside`() async throws {
        let service = TestService()
        service.store.beforeRead { (_) throws(StoreError) in throw StoreError(.refused, operation: "event", "secret detail") }
        try await service.run { client in
            let response = try await client.get("/api/v1/events/a")
            #expect(response.status == .internalServerError && response.isProblem && response.code == "internal")
            #expect((response.json["requestId"] as? String)?.isEmpty == false)
            #expect(!response.text.contains("secret"))
        }
    }
}
