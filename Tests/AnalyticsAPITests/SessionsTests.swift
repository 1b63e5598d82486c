import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsCore

/// Sessions and trends over HTTP. It is 2026-03-01T12:00:00Z.
@Suite struct SessionsTests {
    private let service = TestService()

    private func store(_ events: [(id: String, type: String, time: String, user: String?, session: String?, page: String)]) async throws {
        try await service.store.process(
            events.map { each in
                var event = Event(
                    project: "default", id: each.id, type: each.type, source: "web", timestamp: Timestamp(rfc3339: each.time)!,
                    receivedAt: TestService.now, ingestID: "r:\(each.id)")
                event.data = .init(normalised: #"{"page":\#(each.page)}"#)
                (event.userId, event.sessionId) = (each.user, each.session)
                return StoredEvent(event: event, processedAt: TestService.now, context: nil, fingerprint: 0)
            })
    }

    private static let log: [(id: String, type: String, time: String, user: String?, session: String?, page: String)] = [
        ("1", "view", "2026-02-27T23:20:00Z", "ann", nil, #""/""#), ("2", "view", "2026-02-27T23:50:00Z", "ann", nil, #""/buy""#),
        ("3", "order", "2026-02-28T00:20:00.001Z", "ann", nil, #""/thanks""#), ("4", "view", "2026-02-28T08:00:00Z", "bob", "s1", #""/""#),
        ("5", "mail", "2026-02-28T08:10:00Z", "bob", nil, "null"), ("6", "order", "2026-02-28T12:00:00Z", "bob", "s1", #""/thanks""#),
        ("7", "view", "2026-02-28T12:00:00Z", nil, nil, "3"),
    ]
    private static let range = "from=2026-02-27T00:00:00Z&to=2026-03-01T00:00:00Z"

    @Test func `sessions are counted and measured by the bucket in which they start`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let uri = "/api/v1/analytics/sessions?\(Self.range)&page=data.page&interval=day"
            let response = try await client.get(uri)
            #expect(response.status == .ok)
            let expected =
                #"{"from":"2026-02-27T00:00:00Z","to":"2026-03-01T00:00:00Z","tz":"UTC","asOf":"2026-03-01T12:00:00Z","incompleteFrom":null,"#
                + #""interval":"day","sessions":4,"users":2,"medianSeconds":900.0,"p90Seconds":10620.000000000002,"eventsPerSession":1.5,"bounceRate":0.5,"#
                + #""buckets":["2026-02-27T00:00:00Z","2026-02-28T00:00:00Z"],"values":[1,3],"series":{"users":[1,2],"medianSeconds":[1800.0,0.0],"#
                + #""p90Seconds":[1800.0,11520.0],"eventsPerSession":[2.0,1.3333333333333333],"bounceRate":[0.0,0.6666666666666666]},"#
                + #""entryPages":[{"page":"/","sessions":2,"share":0.5},{"page":"/thanks","sessions":1,"share":0.25}],"#
                + #""exitPages":[{"page":"/thanks","sessions":2,"share":0.5},{"page":"/buy","sessions":1,"share":0.25}]}"#
            #expect(response.text == expected)
            #expect(response.headers[.init("X-Cache")!] == "MISS")
            let again = try await client.get(uri)
            #expect(again.text == expected && again.headers[.init("X-Cache")!] == "HIT")
            let wide = try await client.get("\(uri)&gapMinutes=31&maxAge=0").json
            #expect(wide["values"] as? [Int] == [1, 2])
            #expect(try await client.get("\(uri)&limit=1").json["entryPages"].map { "\($0)".contains("/thanks") } == false)
        }
    }

    @Test func `sessions are a metric of series and tops`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let series = try await client.get("/api/v1/analytics/timeseries?\(Self.range)&metric=sessions&groupBy=type&limit=1").text
            #expect(series.contains(#""series":[{"name":"view","values":[1,1],"total":2}],"other":{"values":[0,2],"total":2},"total":4}"#))
            let top = try await client.get("/api/v1/analytics/topn?\(Self.range)&metric=sessions&dimension=type").text
            #expect(top.contains(#"[{"key":"view","value":2,"share":0.5},{"key":"mail","value":1,"share":0.25},{"key":"order","#))
        }
    }

    @Test func `a wrong question about sessions says what is wrong`() async throws {
        try await service.run { client in
            for wrong in ["gapMinutes=0", "gapMinutes=1441", "gapMinutes=x", "page=type", "page=data.", "limit=0", "metric=users"] {
                let response = try await client.get("/api/v1/analytics/sessions?\(wrong)")
                let name = String(wrong.prefix { $0 != "=" })
                #expect(response.status == .badRequest && response.isProblem && response.text.contains("'\(name)'"), "\(wrong)")
            }
        }
    }

    @Test func `trends are series of types, those that are named in their order`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let named = try await client.get("/api/trends?\(Self.range)&event=order&event=none&event=order&interval=day").text
            let expected =
                #"{"from":"2026-02-27T00:00:00Z","to":"2026-03-01T00:00:00Z","tz":"UTC","asOf":"2026-03-01T12:00:00Z","incompleteFrom":null,"#
                + #""interval":"day","trends":[{"event":"order","total":2,"points":[{"time":"2026-02-27T00:00:00Z","value":0},"#
                + #"{"time":"2026-02-28T00:00:00Z","value":2}]},{"event":"none","total":0,"points":[{"time":"2026-02-27T00:00:00Z","value":0},"#
                + #"{"time":"2026-02-28T00:00:00Z","value":0}]}]}"#
            #expect(named == expected)
            let all = try await client.get("/api/trends?\(Self.range)").json["trends"] as? [[String: Any]]
            #expect(all?.compactMap { $0["event"] as? String } == ["view", "order", "mail"])
            #expect(all?.compactMap { $0["total"] as? Int } == [4, 2, 1])
            #expect(try await client.get("/api/trends?event=").status == .badRequest)
            #expect(try await client.get("/api/trends?type=order").text.contains("is called 'event' here"))
        }
    }
}
