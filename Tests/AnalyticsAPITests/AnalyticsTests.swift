import AnalyticsAPI
import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// Series and tops over HTTP. It is 2026-03-01T12:00:00Z.
@Suite struct AnalyticsTests {
    private let service = TestService()

    private func store(_ events: [(type: String, source: String, time: String)]) async throws {
        try await service.store.process(
            events.enumerated().map { index, event in
                StoredEvent(
                    event: Event(
                        project: "default", id: "e\(index)", type: event.type, source: event.source,
                        timestamp: Timestamp(rfc3339: event.time)!,
                        receivedAt: TestService.now, ingestID: "r:\(index)"),
                    processedAt: TestService.now, context: nil, fingerprint: 0)
            })
    }

    private static let log = [
        (type: "view", source: "web", time: "2026-02-26T23:30:00Z"), (type: "view", source: "web", time: "2026-02-27T22:59:59.999Z"),
        (type: "order", source: "app", time: "2026-02-27T23:00:00Z"), (type: "view", source: "app", time: "2026-03-01T11:59:00Z"),
        (type: "error", source: "web", time: "2026-03-01T11:59:00Z"), (type: "error", source: "web", time: "2026-03-01T11:59:30Z"),
    ]

    private static let timeseries = "/api/v1/analytics/timeseries"
    private static let range = "from=2026-02-26T23:00:00Z&to=2026-03-01T23:00:00Z&tz=Europe/Berlin"

    @Test func `a series has every bucket of the range, in the zone that is asked for`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let response = try await client.get("\(Self.timeseries)?\(Self.range)")
            #expect(response.status == .ok)
            let expected =
                #"{"from":"2026-02-27T00:00:00+01:00","to":"2026-03-02T00:00:00+01:00","tz":"Europe/Berlin","asOf":"2026-03-01T13:00:00+01:00","#
                + #""incompleteFrom":"2026-03-01T00:00:00+01:00","interval":"day","metric":"events","buckets":["2026-02-27T00:00:00+01:00","#
                + #""2026-02-28T00:00:00+01:00","2026-03-01T00:00:00+01:00"],"series":[{"name":"all","values":[2,1,3],"total":6}],"#
                + #""other":null,"total":6}"#
            #expect(response.text == expected)
            #expect(response.headers[.init("X-Cache")!] == "MISS")
            #expect(response.headers[.init("X-Time-Zone-Data")!] == ZoneDatabase.system.version)
            let again = try await client.get("\(Self.timeseries)?\(Self.range)")
            #expect(again.text == expected && again.headers[.init("X-Cache")!] == "HIT")
        }
    }

    @Test func `events of bots are left out unless they are asked for, and always listed and counted`() async throws {
        try await service.store.process(
            (0..<6).map { index in
                StoredEvent(
                    event: Event(
                        project: "default", id: "e\(index)", type: index == 5 ? "crawled" : "view", source: "web",
                        timestamp: TestService.now - .seconds(60), data: JSONText(normalised: #"{"path":"/\#(index)"}"#),
                        userId: "u\(index)",
                        receivedAt: TestService.now, ingestID: "r:\(index)"),
                    processedAt: TestService.now,
                    context: index > 3 ? JSONText(normalised: #"{"device":"bot","bot":true}"#) : nil, fingerprint: 0)
            })
        try await service.run { client in
            func total(_ uri: String, _ member: String = "total") async throws -> Int? { try await client.get(uri).json[member] as? Int }
            let analytics = "/api/v1/analytics"
            let range = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
            for (uri, member) in [
                ("\(Self.timeseries)?\(range)", "total"), ("\(Self.timeseries)?\(range)&metric=users", "total"),
                ("\(analytics)/topn?\(range)&dimension=type", "total"), ("\(analytics)/topn?\(range)&dimension=data.path", "total"),
                ("\(analytics)/uniques?\(range)", "total"), ("/stats?site_id=web&date=2026-03-01", "total_views"),
                ("/stats?site_id=web&date=2026-03-01", "unique_users"),
            ] {
                #expect(try await total(uri, member) == 4, "\(uri)")
                #expect(try await total("\(uri)&bots=exclude", member) == 4, "\(uri)")
                #expect(try await total("\(uri)&bots=include", member) == 6, "\(uri)")
                let wrong = try await client.get("\(uri)&bots=yes")
                #expect(wrong.status == .badRequest && wrong.text.contains("bots"), "\(uri)")
            }
            #expect(try await client.get("\(analytics)/topn?\(range)&dimension=type").text.contains("crawled") == false)
            #expect(try await client.get("\(analytics)/topn?\(range)&dimension=type&bots=include").text.contains("crawled"))
            #expect(try await total("/api/v1/events/counts?\(range)") == 6)
            #expect((try await client.get("/api/v1/events?\(range)").json["events"] as? [Any])?.count == 6)
            #expect(try await client.get("/api/v1/events/counts?bots=include").status == .badRequest)
            let graphite = "/graphite/render?target=sumSeries(default.*.*)&from=20260301&until=20260302&maxDataPoints=1"
            for (suffix, sum) in [("", "4"), ("&bots=exclude", "4"), ("&bots=include", "6")] {
                #expect(try await client.get(graphite + suffix).text.contains("[[\(sum),"), "\(suffix)")
                let names = try await client.get("/graphite/metrics/find?query=default.*&from=20260301&until=20260302" + suffix).text
                #expect(names.contains("crawled") == (sum == "6"), "\(suffix)")
            }
        }
    }

    @Test func `visitors without any id are users where the project has them, and cannot say who they are`() async throws {
        var service = TestService()
        service.settings.trustedProxies = 1
        try await service.store.setVisitorIds(of: "default", to: true)
        let visitors = VisitorIdentifier(store: service.store, clock: WallClock { TestService.now })
        try await visitors.take(service.store.projectRecords())
        service.visitors = visitors
        try await service.run { client in
            func send(_ id: String, from address: String, _ more: String = "") async throws -> HTTPResponse.Status {
                var headers: HTTPFields = [.contentType: "application/json", .userAgent: "A"]
                headers[.init("X-Forwarded-For")!] = address
                let body = #"{"id":"\#(id)","type":"view","source":"web","data":{}\#(more)}"#
                return try await client.post("/api/v1/events", body, headers).status
            }
            for (id, address) in [("1", "198.51.100.7"), ("2", "198.51.100.7"), ("3", "198.51.100.8")] {
                #expect(try await send(id, from: address) == .accepted)
            }
            #expect(try await send("4", from: "198.51.100.7", #","userId":"ann""#) == .accepted)
            #expect(try await send("5", from: "198.51.100.7", #","visitorId":"00112233445566778899aabbccddeeff""#) == .badRequest)
            // Again, from elsewhere: a duplicate.
            #expect(try await send("1", from: "198.51.100.9") == .accepted)
            let events = try #require(try await client.get("/api/v1/events").json["events"] as? [[String: Any]])
            let ids = Dictionary(uniqueKeysWithValues: events.map { ($0["id"] as? String ?? "", $0["visitorId"] as? String) })
            #expect(ids.count == 4 && ids["1"] == ids["2"] && ids["1"] != ids["3"] && ids["4"] == .some(nil))
            #expect(ids["1"]??.utf8.count == 32)
            #expect(try await client.get("/api/v1/events").text.contains("198.51.100.7") == false)
            let range = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
            #expect(try await client.get("/api/v1/analytics/uniques?\(range)").json["total"] as? Int == 3)
        }
        let messages = service.publisher.state.withLock { $0.messages }
        #expect(messages.allSatisfy { !String(decoding: $0.body, as: UTF8.self).contains("198.51.100.7") })
    }

    @Test func `a proof is of an answer that is computed for it, and only known routes have one`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let uri = "\(Self.timeseries)?\(Self.range)"
            _ = try await client.get(uri)
            let plain = try await client.get(uri)
            let proved = try await client.get(uri + "&explain=proof")
            #expect(plain.headers[.init("X-Cache")!] == "HIT" && proved.headers[.init("X-Cache")!] == "MISS")
            #expect(proved.text.hasPrefix(plain.text.dropLast() + #","proof":{"format":1,"project":"default","question":"#))
            #expect(try await client.get(uri + "&explain=all").code == "invalid_parameter")
            #expect(try await client.get("/api/v1/schema?explain=proof").code == "unknown_parameter")
            let long = "&" + (0..<90).map { "type=\($0)\(String(repeating: "x", count: 50))" }.joined(separator: "&")
            #expect(try await client.get(uri + long).status == .ok)
            #expect(try await client.get(uri + long + "&explain=proof").code == "invalid_parameter")
        }
    }

    @Test func `an answer about users may be some seconds old, and says of when it is`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let uri = "/api/v1/analytics/uniques?\(Self.range)"
            let first = try await client.get(uri)
            #expect(first.headers[.init("X-Cache")!] == "MISS")
            let event = Event(
                project: "default", id: "later", type: "view", source: "web", timestamp: TestService.now - .seconds(60), userId: "ann",
                receivedAt: TestService.now, ingestID: "r:later")
            try await service.store.process([
                StoredEvent(event: event, processedAt: TestService.now, context: nil, fingerprint: 0)
            ])
            let again = try await client.get(uri)
            #expect(again.text == first.text && again.headers[.init("X-Cache")!] == "HIT")
            let present = try await client.get("\(uri)&maxAge=0")
            let total = first.json["total"] as? Int ?? 0
            #expect(present.json["total"] as? Int == total + 1 && present.headers[.init("X-Cache")!] == "MISS")
            // Of other questions nothing is kept unless that is asked for.
            let series = "\(Self.timeseries)?\(Self.range)&metric=events"
            #expect(try await client.get(series).headers[.init("X-Cache")!] == "MISS")
            #expect(try await client.get("\(series)&maxAge=3600").status == .ok)
            for wrong in ["-1", "3601", "x", ""] {
                let response = try await client.get("\(uri)&maxAge=\(wrong)")
                #expect(response.status == .badRequest && response.text.contains("maxAge"), "\(wrong)")
            }
        }
    }

    @Test func `the schema tells what there is to ask about`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let answer = try await client.get("/api/v1/schema").json
            let types = try #require(answer["types"] as? [[String: Any]])
            #expect(types.compactMap { $0["name"] as? String } == ["view", "error", "order"])
            let spans = types.map { "\($0["count"]!) \($0["first"]!) \($0["last"]!)" }
            let counts = try await client.get("/api/v1/events/counts").json["counts"] as? [String: Int]
            #expect(spans.count == 3 && spans[0].hasPrefix("\(counts?["view"] ?? 0) 2026-0"))
            #expect(answer["sampled"] as? Int == Self.log.count && answer["isCut"] as? Bool == false)
            let one = try await client.get("/api/v1/schema?sample=1&type=order").json
            #expect(one["sampled"] as? Int == 1 && (one["types"] as? [Any])?.count == 1)
            for wrong in ["sample=0", "sample=10001", "tz=UTC"] {
                #expect(try await client.get("/api/v1/schema?\(wrong)").status == .badRequest)
            }
        }
    }

    @Test func `groups beyond the limit are the other ones, and filters select`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let byType = try await client.get("\(Self.timeseries)?\(Self.range)&groupBy=type&limit=2").text
            #expect(
                byType.contains(#""series":[{"name":"view","values":[2,0,1],"total":3},{"name":"error","values":[0,0,2],"total":2}]"#),
                "\(byType)")
            #expect(byType.contains(#""other":{"values":[0,1,0],"total":1},"total":6}"#))
            let filtered = try await client.get("\(Self.timeseries)?\(Self.range)&groupBy=source&type=order&type=error").text
            #expect(
                filtered.contains(#"[{"name":"web","values":[0,0,2],"total":2},{"name":"app","values":[0,1,0],"total":1}],"other":null"#),
                "\(filtered)")
        }
    }

    @Test func `an earlier range is compared, weekday by weekday, with the same groups`() async throws {
        try await store(Self.log + [("error", "web", "2026-02-22T12:00:00Z"), ("new", "web", "2026-02-20T12:00:00Z")])
        try await service.run { client in
            let answer = try await client.get("\(Self.timeseries)?\(Self.range)&groupBy=type&limit=1&compare=previous").text
            let expected =
                #""compare":{"from":"2026-02-20T00:00:00+01:00","to":"2026-02-23T00:00:00+01:00","buckets":["2026-02-20T00:00:00+01:00","#
                + #""2026-02-21T00:00:00+01:00","2026-02-22T00:00:00+01:00"],"series":[{"name":"view","values":[0,0,0],"total":0}],"#
                + #""other":{"values":[1,0,1],"total":2},"total":2}}"#
            #expect(answer.contains(expected), "\(answer)")
            let named = try await client.get(
                "\(Self.timeseries)?\(Self.range)&compareFrom=2026-02-22T00:00:00Z&compareTo=2026-02-23T00:00:00Z")
            #expect(named.json["compare"].map { "\($0)" }?.contains("2026-02-22T00:00:00+01:00") == true, "\(named.text)")
        }
    }

    @Test(arguments: [
        ("day", 30, "2026-01-31T00:00:00Z"), ("hour", 24, "2026-02-28T13:00:00Z"), ("minute", 60, "2026-03-01T11:01:00Z"),
        ("week", 12, "2025-12-08T00:00:00Z"), ("month", 12, "2025-04-01T00:00:00Z"),
    ])
    func `without a range the last buckets are asked for, by the interval`(interval: String, count: Int, first: String) async throws {
        try await service.run { client in
            let answer = try await client.get("\(Self.timeseries)?interval=\(interval)").json
            let buckets = try #require(answer["buckets"] as? [String])
            #expect(buckets.count == count && buckets.first == first && answer["from"] as? String == first)
            #expect(answer["incompleteFrom"] as? String == buckets.last && answer["tz"] as? String == "UTC")
        }
    }

    @Test func `a project's zone is that of questions that name none`() async throws {
        try await service.store.setTimeZone(of: "default", to: #require(ZoneName("Asia/Kathmandu")))
        try await service.run { client in
            let answer = try await client.get("\(Self.timeseries)?interval=hour").json
            #expect(answer["tz"] as? String == "Asia/Kathmandu")
            #expect((answer["buckets"] as? [String])?.last == "2026-03-01T17:00:00+05:45")
            #expect(try await client.get("\(Self.timeseries)?tz=UTC").json["tz"] as? String == "UTC")
        }
        try await service.store.setTimeZone(of: "default", to: #require(ZoneName("Mars/Olympus")))
        try await service.run { client in
            let answer = try await client.get(Self.timeseries)
            #expect(answer.status == .badRequest && answer.json["parameter"] as? String == "tz")
        }
    }

    @Test(arguments: [
        "tz=", "tz=Mars/Olympus", "tz=../etc/passwd", "tz=UTC&tz=UTC", "interval=year", "to=0001-01-01T00:00:00Z", "tz=right/UTC",
        "interval=", "metric=", "metric=median",
        "metric=sum(type)", "groupBy=data.$a", "data.=x",
        "groupBy=day",
        "limit=5", "groupBy=type&limit=0", "groupBy=type&limit=1001", "from=2026-04-01T00:00:00Z", "from=2026-03-01", "userid=u",
        "compare=last",
        "compare=previous&compareFrom=2026-01-01T00:00:00Z", "compareFrom=2026-01-01T00:00:00Z",
        "compareFrom=2026-01-02T00:00:00Z&compareTo=2026-01-01T00:00:00Z",
        "interval=minute&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z",
        "interval=hour&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z&groupBy=type&limit=1000", "type=",
        "from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z",
        "interval=hour&compareFrom=2020-01-01T00:00:00Z&compareTo=2026-01-01T00:00:00Z",
    ])
    func `what a series does not know is answered 400`(query: String) async throws {
        try await service.run { client in
            let response = try await client.get("\(Self.timeseries)?\(query)")
            #expect(response.status == .badRequest && response.isProblem, "\(query)")
        }
    }

    @Test func `tops have shares, and say what is not listed`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let uri = "/api/v1/analytics/topn?dimension=type&n=2&from=2026-02-26T00:00:00Z&to=2026-03-02T00:00:00Z"
            let response = try await client.get(uri)
            let expected =
                #"{"from":"2026-02-26T00:00:00Z","to":"2026-03-02T00:00:00Z","tz":"UTC","asOf":"2026-03-01T12:00:00Z","#
                + #""incompleteFrom":null,"items":[{"key":"view","value":3,"share":0.5},"#
                + #"{"key":"error","value":2,"share":0.3333333333333333}],"total":6,"other":1}"#
            #expect(response.text == expected)
            #expect(try await client.get(uri).headers[.init("X-Cache")!] == "HIT")
            #expect(try await client.get("/api/v1/analytics/topn?dimension=type&from=1901-01-01T00:00:00Z").json["total"] as? Int == 6)
            let empty = try await client.get("/api/v1/analytics/topn?dimension=source&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")
                .text
            #expect(empty.hasSuffix(#""items":[],"total":0,"other":0}"#))
        }
    }

    @Test func `users, measures and properties are asked for like events`() async throws {
        let bodies = [
            #""type":"order","userId":"ann","data":{"plan":"pro","amount":10.5}"#,
            #""type":"order","userId":"bob","data":{"plan":5,"amount":4}"#,
            #""type":"view","anonymousId":"ann","data":{"plan":"pro"}"#, #""type":"view","data":{"plan":["pro","team"]}"#,
        ]
        let range = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
        try await service.run { client in
            for body in bodies {
                _ = try await client.post("/api/v1/events", #"{"source":"s","timestamp":"2026-03-01T11:00:00Z",\#(body)}"#)
            }
            let users = try await client.get("\(Self.timeseries)?\(range)&metric=users&groupBy=data.plan&limit=1").text
            #expect(
                users.contains(#""series":[{"name":"pro","values":[2],"total":2}],"other":{"values":[1],"total":1},"total":3}"#), "\(users)"
            )
            let sum = try await client.get("\(Self.timeseries)?\(range)&metric=sum(data.amount)&type=order").text
            #expect(
                sum.contains(#""metric":"sum(data.amount)""#) && sum.contains(#"[{"name":"all","values":[14.5],"total":14.5}]"#), "\(sum)")
            let empty = try await client.get("\(Self.timeseries)?\(range)&metric=p90(data.amount)&type=view").text
            #expect(empty.contains(#"[{"name":"all","values":[null],"total":null}]"#), "\(empty)")
            let top = try await client.get("/api/v1/analytics/topn?\(range)&dimension=data.plan").text
            let items =
                #""items":[{"key":"pro","value":3,"share":0.75},{"key":5,"value":1,"share":0.25},{"key":"team","value":1,"share":0.25}]"#
            #expect(top.contains(items) && top.hasSuffix(#""total":4,"other":0}"#), "\(top)")
            let uniques = try await client.get("/api/v1/analytics/uniques?\(range)&interval=day").text
            #expect(uniques.hasSuffix(#""interval":"day","total":3,"buckets":["2026-03-01T00:00:00Z"],"values":[3]}"#), "\(uniques)")
            #expect(try await client.get("/api/v1/analytics/uniques?\(range)&interval=day").headers[.init("X-Cache")!] == "HIT")
            #expect(try await client.get("/api/v1/analytics/uniques?\(range)&userId=ann").json["total"] as? Int == 1)
        }
    }

    @Test(arguments: [
        "", "dimension=", "dimension=day", "dimension=data.a.b.c.0.d", "dimension=type&n=0", "dimension=type&n=1001",
        "dimension=type&interval=day",
    ])
    func `what tops do not know is answered 400`(query: String) async throws {
        try await service.run { client in
            let response = try await client.get("/api/v1/analytics/topn?\(query)")
            #expect(response.status == .badRequest && response.isProblem, "\(query)")
        }
    }
}
