import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsCore

/// Lifecycle, stickiness, paths, people and one user over HTTP. It is 2026-03-01T12:00:00Z.
@Suite struct UserQuestionRouteTests {
    private let service = TestService()

    private func store(_ events: [(id: String, type: String, time: String, user: String, anonymous: String?)]) async throws {
        try await service.store.process(
            events.map { each in
                var event = Event(
                    project: "default", id: each.id, type: each.type, source: "web",
                    timestamp: Timestamp(rfc3339: "2026-02-\(each.time)Z")!,
                    receivedAt: TestService.now, ingestID: "r:\(each.id)")
                event.data = .init(normalised: "{}")
                event.userId = each.user.isEmpty ? nil : each.user
                event.anonymousId = each.anonymous
                return StoredEvent(event: event, processedAt: TestService.now, context: nil, fingerprint: 0)
            })
    }

    private static let log: [(id: String, type: String, time: String, user: String, anonymous: String?)] = [
        ("40", "open", "01T09:00:00", "ann", nil), ("41", "open", "02T09:00:00", "ann", nil), ("42", "order", "04T09:00:00", "ann", nil),
        ("43", "open", "01T23:30:00", "bob", nil), ("44", "open", "03T08:00:00", "", "d1"), ("45", "order", "02T09:00:00", "cat", nil),
        ("46", "open", "02T10:00:00", "cat", nil), ("47", "$identify", "09T10:00:00", "bob", "d1"),
    ]
    private static let range = "from=2026-02-01T00:00:00Z&to=2026-02-06T00:00:00Z"
    private static let head =
        #"{"from":"2026-02-01T00:00:00Z","to":"2026-02-06T00:00:00Z","tz":"UTC","asOf":"2026-03-01T12:00:00Z","incompleteFrom":null,"#

    @Test func `a lifecycle tells users by state`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let uri = "/api/v1/analytics/lifecycle?\(Self.range)"
            let response = try await client.get(uri)
            let buckets = (1...5).map { "\"2026-02-0\($0)T00:00:00Z\"" }.joined(separator: ",")
            let series = #""series":{"new":[2,1,0,0,0],"returning":[0,1,0,0,0],"resurrecting":[0,0,1,1,0],"dormant":[0,1,2,1,1]}}"#
            let expected = Self.head + #""interval":"day","buckets":[\#(buckets)],\#(series)"#
            #expect(response.text == expected && response.headers[.init("X-Cache")!] == "MISS")
            let again = try await client.get(uri)
            #expect(again.text == expected && again.headers[.init("X-Cache")!] == "HIT")
            let wrong = try await client.get("\(uri)&interval=hour")
            #expect(
                wrong.status == .badRequest && (wrong.json["detail"] as? String)?.contains("'interval' may be day, week, month") == true)
        }
    }

    @Test func `stickiness tells users by number of buckets`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let response = try await client.get("/api/v1/analytics/stickiness?\(Self.range)")
            let values = zip([1, 1, 1, 0, 0], [3, 2, 1, 0, 0]).enumerated().map {
                #"{"intervals":\#($0 + 1),"users":\#($1.0),"atLeast":\#($1.1)}"#
            }
            #expect(response.text == Self.head + #""interval":"day","users":3,"values":[\#(values.joined(separator: ","))]}"#)
        }
    }

    @Test func `paths tell nodes and edges by step`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let response = try await client.get("/api/v1/analytics/paths?\(Self.range)&start=open&windowSeconds=86400&steps=1")
            let expected =
                Self.head
                + #""steps":[{"step":0,"paths":3,"users":3,"nodes":[{"key":"open","paths":3,"users":3}],"otherNodes":0,"edges":[],"otherEdges":0},"#
                + #"{"step":1,"paths":1,"users":1,"nodes":[{"key":"open","paths":1,"users":1}],"otherNodes":0,"#
                + #""edges":[{"from":"open","to":"open","paths":1,"users":1}],"otherEdges":0}]}"#
            #expect(response.text == expected, "\(response.text)")
            let back = try await client.get("/api/v1/analytics/paths?\(Self.range)&end=open&windowSeconds=172800&steps=1").json
            let steps = try #require(back["steps"] as? [[String: Any]])
            let edges = try #require(steps[1]["edges"] as? [[String: Any]])
            #expect(edges.map { "\($0["from"]!) \($0["to"]!) \($0["paths"]!)" } == ["open open 2", "order open 1"])
        }
    }

    @Test(
        arguments: [
            ("", "'start'"), ("start=a&end=b", "'start'"), ("start=a&steps=6", "'steps'"),
            ("start=a&windowSeconds=1&gapMinutes=1", "'gapMinutes'"),
            ("start=a&groupBy=x", "'groupBy'"), ("start=a&limit=0", "'limit'"), ("start=a&interval=day", "'interval'"),
            ("start=", "'start'"),
        ])
    func `a wrong question about paths says what is wrong`(query: String, says: String) async throws {
        try await service.run { client in
            let response = try await client.get("/api/v1/analytics/paths?\(query)")
            #expect(response.status == .badRequest && (response.json["detail"] as? String)?.contains(says) == true, "\(response.text)")
        }
    }

    // MARK: People

    private func people(_ body: String) async throws -> [String] {
        let found = Recorded<[String]>()
        try await service.run { client in
            let response = try await client.post("/api/v1/analytics/people", body)
            let people = try #require(response.json["people"] as? [[String: Any]], "\(response.text)")
            #expect(response.json["total"] as? Int == people.count && response.json["nextCursor"] is NSNull)
            found.append(people.map { ($0["userId"] ?? $0["anonymousId"]) as? String ?? "" }.sorted())
        }
        return found.values[0]
    }

    @Test func `people are those behind a number`() async throws {
        try await store(Self.log)
        let range = #""from":"2026-02-01T00:00:00Z","to":"2026-02-06T00:00:00Z""#
        let days = #""parameters":{\#(range)}"#
        #expect(try await people(#"{"question":"lifecycle",\#(days),"bucket":"2026-02-03T00:00:00Z","state":"resurrecting"}"#) == ["bob"])
        #expect(
            try await people(#"{"question":"lifecycle",\#(days),"bucket":"2026-02-03T01:00:00+01:00","state":"dormant"}"#) == [
                "ann", "cat",
            ])
        #expect(try await people(#"{"question":"stickiness",\#(days),"intervals":2,"atLeast":true}"#) == ["ann", "bob"])
        #expect(try await people(#"{"question":"uniques",\#(days)}"#) == ["ann", "bob", "cat"])
        #expect(try await people(#"{"question":"uniques","parameters":{\#(range),"type":["order","none"]}}"#) == ["ann", "cat"])
        #expect(try await people(#"{"question":"uniques",\#(days),"bucket":"2026-02-02T00:00:00Z"}"#) == ["ann", "cat"])
        let paths = #""parameters":{\#(range),"start":"open","windowSeconds":172800}"#
        #expect(try await people(#"{"question":"paths",\#(paths),"step":1,"from":"open","to":"open"}"#) == ["ann", "bob"])
        #expect(try await people(#"{"question":"paths",\#(paths),"step":1,"key":"open"}"#) == ["ann", "bob"])
        #expect(try await people(#"{"question":"paths",\#(paths),"step":0}"#) == ["ann", "bob", "cat"])
        let funnel = #""body":{"steps":[{"types":["open"]},{"types":["order"]}],\#(range)}"#
        #expect(try await people(#"{"question":"funnels",\#(funnel),"step":2}"#) == ["ann"])
        #expect(try await people(#"{"question":"funnels",\#(funnel),"step":2,"dropped":true}"#) == ["bob", "cat"])
        let retention = #""body":{"first":{"types":["open"]},"periods":3,\#(range)}"#
        #expect(try await people(#"{"question":"retention",\#(retention),"cohort":"2026-02-01T00:00:00Z"}"#) == ["ann", "bob"])
        #expect(
            try await people(#"{"question":"retention",\#(retention),"cohort":"2026-02-01T00:00:00Z","period":1,"dropped":true}"#) == [
                "bob"
            ])
    }

    @Test func `a page of people goes on where the one before ended`() async throws {
        try await store(Self.log)
        try await service.run { client in
            var (ids, cursor): ([String], String) = ([], "")
            for number in 1...3 {
                let body =
                    #"{"question":"uniques","parameters":{"from":"2026-02-01T00:00:00Z","to":"2026-02-06T00:00:00Z"},"limit":1\#(cursor)}"#
                let json = try await client.post("/api/v1/analytics/people", body).json
                let people = try #require(json["people"] as? [[String: Any]])
                #expect(json["total"] as? Int == 3 && people.count == 1)
                ids += people.compactMap { $0["userId"] as? String }
                if ids.last == "ann" {
                    #expect(people[0]["events"] as? Int == 3 && people[0]["first"] as? String == "2026-02-01T09:00:00Z")
                    #expect(people[0]["last"] as? String == "2026-02-04T09:00:00Z")
                }
                let next = json["nextCursor"] as? String
                #expect((next == nil) == (number == 3))
                cursor = #","cursor":"\#(next ?? "")""#
            }
            #expect(ids.sorted() == ["ann", "bob", "cat"])
        }
    }

    @Test(
        arguments: [
            (#"{}"#, "'question' is missing"), (#"{"question":"topn"}"#, "'question' may be"),
            (#"{"question":"funnels","step":1}"#, "'body' is missing"),
            (#"{"question":"uniques","step":1}"#, "'step' is not known"),
            (#"{"question":"uniques","parameters":[]}"#, "'parameters' must be an object"),
            (#"{"question":"uniques","parameters":{"x":1}}"#, "'x' is no parameter"), (#"{"question":"uniques","cursor":"x"}"#, "'cursor'"),
            (#"{"question":"uniques","parameters":{"type":{"a":1}}}"#, "'parameters.type' must be a string"),
            (#"{"question":"uniques","parameters":{"explain":"proof"}}"#, "'parameters.explain' stands in the URL"),
            (#"{"question":"uniques","limit":1001}"#, "'limit'"),
            (#"{"question":"uniques","bucket":"2026-02-01T00:00:01Z"}"#, "'bucket' must be the start of a bucket"),
            (#"{"question":"lifecycle","state":"new"}"#, "'bucket' is missing"),
            (#"{"question":"lifecycle","bucket":"2026-03-01T00:00:00Z"}"#, "'state' is missing"),
            (#"{"question":"stickiness"}"#, "'intervals' is missing"),
            (#"{"question":"stickiness","intervals":31}"#, "'intervals' must be an integer from 1 to 30"),
            (#"{"question":"paths","parameters":{"start":"a"},"step":0,"from":"a","to":"b"}"#, "'step' goes with"),
            (#"{"question":"paths","parameters":{"start":"a"},"step":1,"from":"a"}"#, "'step' goes with"),
            (#"{"question":"paths","parameters":{"start":"a"},"step":1,"key":[]}"#, "'key' must be a key"),
            (
                #"{"question":"funnels","body":{"steps":[{"types":["a"]},{"types":["b"]}]},"step":1,"dropped":true}"#,
                "'step' must be an integer from 2"
            ),
            (
                #"{"question":"funnels","body":{"steps":[{"types":["a"]},{"types":["b"]}]},"step":3}"#,
                "'step' must be an integer from 1 to 2"
            ),
            (#"{"question":"funnels","body":{"steps":[{"types":["a"]},{}]},"step":1}"#, "'body.steps[1].types'"),
            (#"{"question":"retention","body":{},"cohort":"2026-03-01T00:00:00Z","dropped":true}"#, "'dropped' goes with 'period'"),
        ])
    func `a wrong question about people says what is wrong`(body: String, says: String) async throws {
        try await service.run { client in
            let response = try await client.post("/api/v1/analytics/people", body)
            #expect(
                response.status == .badRequest && (response.json["detail"] as? String)?.contains(says) == true, "\(body): \(response.text)")
        }
    }

    // MARK: One user

    @Test func `a user is told with its identities and newest events`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let response = try await client.get("/api/v1/users/bob?limit=2")
            let json = response.json
            #expect(json["userId"] as? String == "bob" && json["events"] as? Int == 3 && json["sessions"] as? Int == 3, "\(response.text)")
            #expect(json["first"] as? String == "2026-02-01T23:30:00.000Z" && json["last"] as? String == "2026-02-09T10:00:00.000Z")
            #expect(json["anonymousIds"] as? [String] == ["d1"] && json["otherTypes"] as? Int == 0)
            let types = try #require(json["types"] as? [[String: Any]])
            #expect(types.map { "\($0["type"]!) \($0["events"]!)" } == ["open 2", "$identify 1"])
            #expect((json["newest"] as? [[String: Any]])?.compactMap { $0["id"] as? String } == ["47", "44"])
            // The anonymous id is the same user.
            #expect(try await client.get("/api/v1/users/d1?kind=anonymousId&limit=2").text == response.text)
            #expect(try await client.get("/api/v1/users/bob?limit=0").json["newest"] as? [String] == [])
            for unknown in ["d1", "nobody", "%00", "ann?kind=anonymousId"] {
                let missing = try await client.get("/api/v1/users/\(unknown)")
                #expect(missing.status == .notFound && missing.code == "user_not_found" && missing.isProblem)
            }
            for wrong in ["limit=101", "kind=x", "from=2026-02-01T00:00:00Z"] {
                #expect(try await client.get("/api/v1/users/bob?\(wrong)").status == .badRequest)
            }
        }
    }

    // MARK: Funnels in short

    @Test func `a short funnel has names, users and rates`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let range = #""from":"2026-02-01T00:00:00Z","to":"2026-02-06T00:00:00Z""#
            let response = try await client.post("/api/funnels", #"{"steps":["open","order"],\#(range),"window_seconds":604800}"#)
            #expect(
                response.text == #"{"steps":[{"name":"open","users":3,"rate":1.0},{"name":"order","users":1,"rate":0.3333333333333333}]}"#)
            // A week is usual.
            #expect(try await client.post("/api/funnels", #"{"steps":["open","order"],\#(range)}"#).text == response.text)
            let narrow = try await client.post("/api/funnels", #"{"steps":["open","order"],\#(range),"window_seconds":1}"#)
            #expect(narrow.text.contains(#"{"name":"order","users":0,"rate":0.0}"#))
            let none = try await client.post("/api/funnels", #"{"steps":["none","order"]}"#)
            #expect(none.text == #"{"steps":[{"name":"none","users":0,"rate":0.0},{"name":"order","users":0,"rate":0.0}]}"#)
            for (body, says) in [
                (#"{"steps":["a"]}"#, "'steps'"), (#"{}"#, "'steps' is missing"), (#"{"steps":["a",1]}"#, "'steps[1]'"),
                (#"{"steps":["a","b"],"windowSeconds":1}"#, "'windowSeconds' is not known"),
                (#"{"steps":["a","b"],"window_seconds":0}"#, "'window_seconds'"),
            ] {
                let wrong = try await client.post("/api/funnels", body)
                #expect(wrong.status == .badRequest && (wrong.json["detail"] as? String)?.contains(says) == true, "\(wrong.text)")
            }
        }
    }

    // MARK: Proofs

    @Test func `a question that is a JSON object is proved by its URL, and bounded`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let body = #"{"steps":[{"types":["open"]},{"types":["order"]}]}"#
            let proved = try await client.post("/api/v1/analytics/funnels?explain=proof", body)
            let proof = try #require(proved.json["proof"] as? [String: Any], "\(proved.text)")
            #expect((proof["question"] as? String)?.hasPrefix("/api/v1/analytics/funnels {\"from\":") == true)
            let long = #"{"steps":[{"types":["open"]},{"types":["\#(String(repeating: "x", count: 4_100))"]}]}"#
            let refused = try await client.post("/api/v1/analytics/funnels?explain=proof", long)
            #expect(refused.status == .badRequest && (refused.json["detail"] as? String)?.contains("at most 4096 bytes") == true)
            #expect(try await client.post("/api/v1/analytics/funnels", long).status == .ok)
            #expect(try await client.post("/api/v1/analytics/funnels?explain=why", body).code == "invalid_parameter")
        }
    }
}
