import AnalyticsJSON
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsCore

/// The routes of small collectors. It is 2026-03-01T12:00:00Z.
@Suite struct SimpleRouteTests {
    private let service = TestService()

    @Test func `a record becomes an event`() async throws {
        try await service.run { client in
            let full =
                #"{"event_id":"a","user_id":"u","event_name":"signup","event_time":"2026-03-01T11:00:00Z","payload":{"plan":["pro"]}}"#
            let response = try await client.post("/ingest", full)
            #expect(response.status == .accepted && response.text == #"{"id":"a","status":"accepted"}"#)
            #expect(try await client.post("/ingest", #"{"event_name":"login"}"#).status == .accepted)
        }
        let events = try service.publisher.events
        #expect(events.map(\.type) == ["signup", "login"] && events.map(\.source) == ["ingest", "ingest"])
        #expect(events[0].userId == "u" && events[0].timestamp == Timestamp(rfc3339: "2026-03-01T11:00:00Z"))
        #expect(events.map(\.data?.text) == [#"{"plan":["pro"]}"#, "{}"])
    }

    @Test func `a site's event becomes an event, and is answered with a message`() async throws {
        try await service.run { client in
            let body = #"{"site_id":"shop","event_type":"page_view","path":"/é\"","user_id":"u","timestamp":"2026-03-01T11:00:00Z"}"#
            let response = try await client.post("/event", body)
            #expect(response.status == .accepted && response.text == #"{"message":"Event accepted"}"#)
            #expect(try await client.post("/event", #"{"site_id":"shop","event_type":"click","path":null}"#).status == .accepted)
        }
        let events = try service.publisher.events
        #expect(events.map(\.type) == ["page_view", "click"] && events.map(\.source) == ["shop", "shop"])
        #expect(events.map(\.data?.text) == [#"{"path":"/é\""}"#, "{}"] && events[0].userId == "u")
    }

    @Test func `an anonymous id and a user are joined by an event`() async throws {
        try await service.run { client in
            let response = try await client.post("/api/v1/identify", #"{"userId":"ann","anonymousId":"d1","id":"i"}"#)
            #expect(response.status == .accepted && response.text == #"{"id":"i","status":"accepted"}"#)
            let full = #"{"userId":"é","anonymousId":"d2","timestamp":"2026-03-01T11:00:00Z","source":"web","sessionId":"s"}"#
            #expect(try await client.post("/api/v1/identify", full).status == .accepted)
        }
        let events = try service.publisher.events
        #expect(events.allSatisfy { $0.type == "$identify" && $0.data?.text == "{}" })
        #expect(events.map(\.userId) == ["ann", "é"] && events.map(\.anonymousId) == ["d1", "d2"])
        #expect(events.map(\.source) == ["identify", "web"] && events[1].sessionId == "s")
        #expect(events[1].timestamp == Timestamp(rfc3339: "2026-03-01T11:00:00Z"))
    }

    @Test(arguments: [
        ("/api/v1/identify", #"{"userId":"a"}"#, "anonymousId"), ("/api/v1/identify", #"{"anonymousId":"a"}"#, "userId"),
        ("/api/v1/identify", #"{"userId":"a","anonymousId":""}"#, "anonymousId"),
        ("/api/v1/identify", #"{"userId":"a","anonymousId":null}"#, "anonymousId"),
        ("/api/v1/identify", #"{"userId":"a","anonymousId":"b","type":"x"}"#, "type"),
        ("/ingest", "{}", "event_name"), ("/ingest", #"{"event_name":5}"#, "event_name"),
        ("/ingest", #"{"event_name":"a","type":"b"}"#, "type"),
        ("/ingest", #"{"event_id":"","event_name":"a"}"#, "event_id"), ("/ingest", #"{"event_name":"a","event_time":"now"}"#, "event_time"),
        ("/event", #"{"event_type":"a"}"#, "site_id"), ("/event", #"{"site_id":"a"}"#, "event_type"),
        ("/event", #"{"site_id":"a","event_type":"b","path":{}}"#, "path"),
        ("/event", #"{"site_id":"a","event_type":"b","url":"/"}"#, "url"),
    ])
    func `what is wrong is named by the route's own fields`(path: String, body: String, field: String) async throws {
        try await service.run { client in
            let response = try await client.post(path, body)
            #expect(response.status == .badRequest && response.isProblem && response.json["field"] as? String == field, "\(response.text)")
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `a site's day has views, users and paths`() async throws {
        try await service.store.setTimeZone(of: "default", to: #require(ZoneName("Asia/Kathmandu")))
        try await service.run { client in
            let times = [
                "2026-02-28T18:14:59.999Z", "2026-02-28T18:15:00Z", "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z",
            ]
            for (time, rest) in zip(times, ["/a", "/a", "/b", "/a", ""]) {
                let path = rest.isEmpty ? "" : #","path":"\#(rest)""#
                let user = rest == "/b" ? "bob" : "ann"
                _ = try await client.post(
                    "/event", #"{"site_id":"shop","event_type":"v","user_id":"\#(user)","timestamp":"\#(time)"\#(path)}"#)
            }
            _ = try await client.post("/event", #"{"site_id":"other","event_type":"v","path":"/c"}"#)
            let response = try await client.get("/stats?site_id=shop&date=2026-03-01")
            let expected =
                #"{"site_id":"shop","date":"2026-03-01","total_views":4,"unique_users":2,"top_paths":[{"path":"/a","views":2},"#
                + #"{"path":"/b","views":1}]}"#
            #expect(response.text == expected)
        }
    }

    @Test(arguments: [
        "", "site_id=a", "date=2026-03-01", "site_id=&date=2026-03-01", "site_id=a&date=2026-02-30", "site_id=a&date=today", "site=a",
    ])
    func `a day that is not told right is answered 400`(query: String) async throws {
        try await service.run { client in
            let response = try await client.get("/stats?\(query)")
            #expect(response.status == .badRequest && response.isProblem)
        }
    }

    @Test func `series and tops are at their short paths, too`() async throws {
        try await service.run { client in
            _ = try await client.post("/ingest", #"{"event_name":"login","user_id":"u","payload":{"plan":"pro"}}"#)
            for uri in ["timeseries?interval=hour", "topn?dimension=data.plan&metric=users"] {
                let (short, long) = (try await client.get("/analytics/\(uri)"), try await client.get("/api/v1/analytics/\(uri)"))
                #expect(short.status == .ok && short.text == long.text)
            }
        }
    }
}
