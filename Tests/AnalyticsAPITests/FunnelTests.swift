import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsCore

/// Questions that are sent as JSON objects. It is 2026-03-01T12:00:00Z.
@Suite struct FunnelRouteTests {
    private let service = TestService()

    private func store(_ events: [(id: String, type: String, time: String, user: String, data: String)]) async throws {
        try await service.store.process(
            events.map { each in
                var event = Event(
                    project: "default", id: each.id, type: each.type, source: "web", timestamp: Timestamp(rfc3339: each.time)!,
                    receivedAt: TestService.now, ingestID: "r:\(each.id)")
                event.data = .init(normalised: each.data)
                event.userId = each.user
                return StoredEvent(event: event, processedAt: TestService.now, context: nil, fingerprint: 0)
            })
    }

    private static let log: [(id: String, type: String, time: String, user: String, data: String)] = [
        ("20", "view", "2026-02-01T10:00:00Z", "ann", #"{"plan":"free"}"#), ("21", "cart", "2026-02-01T10:05:00Z", "ann", "{}"),
        ("22", "order", "2026-02-01T10:20:00Z", "ann", "{}"), ("23", "cart", "2026-02-01T11:00:00Z", "bob", "{}"),
        ("24", "view", "2026-02-01T11:00:00Z", "bob", #"{"plan":"pro"}"#), ("25", "help", "2026-02-01T12:30:00Z", "bob", "{}"),
        ("26", "order", "2026-02-01T13:00:00Z", "bob", #"{"n":3}"#), ("27", "cart", "2026-02-01T14:00:00Z", "cat", "{}"),
        ("28", "view", "2026-02-01T14:10:00Z", "cat", #"{"plan":"pro"}"#), ("29", "order", "2026-02-01T15:00:00Z", "cat", "{}"),
    ]
    private static let funnels = "/api/v1/analytics/funnels"
    private static let retention = "/api/v1/analytics/retention"
    private static let steps = #""steps":[{"types":["view"]},{"types":["cart"]},{"types":["order"]}]"#
    private static let range = #""from":"2026-02-01T00:00:00Z","to":"2026-02-02T00:00:00Z""#

    @Test func `a funnel tells users, shares and times of each step`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let body = #"{\#(Self.steps),"windowSeconds":3600,\#(Self.range)}"#
            let response = try await client.post(Self.funnels, body)
            #expect(response.status == .ok)
            let expected =
                #"{"from":"2026-02-01T00:00:00Z","to":"2026-02-02T00:00:00Z","tz":"UTC","asOf":"2026-03-01T12:00:00Z","incompleteFrom":null,"#
                + #""order":"ordered","windowSeconds":3600,"#
                + #""steps":[{"users":3,"shareOfFirst":1.0,"shareOfPrevious":1.0,"medianSeconds":null,"p90Seconds":null},"#
                + #"{"users":2,"shareOfFirst":0.6666666666666666,"shareOfPrevious":0.6666666666666666,"medianSeconds":150.0,"p90Seconds":270.0},"#
                + #"{"users":1,"shareOfFirst":0.3333333333333333,"shareOfPrevious":0.5,"medianSeconds":900.0,"p90Seconds":900.0}]}"#
            #expect(response.text == expected)
            #expect(response.headers[.init("X-Cache")!] == "MISS")
            let again = try await client.post(Self.funnels, body)
            #expect(again.text == expected && again.headers[.init("X-Cache")!] == "HIT")
        }
    }

    private func users(_ more: String) async throws -> [Int] {
        let result = Recorded<[Int]>()
        try await service.run { client in
            let response = try await client.post(Self.funnels, #"{\#(Self.steps),\#(Self.range),\#(more)}"#)
            let steps = response.json["steps"] as? [[String: Any]]
            result.append((steps ?? []).compactMap { $0["users"] as? Int })
        }
        return result.values[0]
    }

    @Test func `orders, windows, exclusions and filters change a funnel`() async throws {
        try await store(Self.log)
        let window = #""windowSeconds":7200"#
        #expect(try await users(window) == [3, 2, 2])
        #expect(try await users(#"\#(window),"order":"strict""#) == [3, 2, 1])
        #expect(try await users(#"\#(window),"order":"any""#) == [3, 3, 3])
        #expect(try await users(#"\#(window),"exclusions":[{"types":["help"],"afterStep":2}]"#) == [3, 2, 1])
        #expect(try await users(#"\#(window),"exclusions":[{"types":["help"],"afterStep":1,"beforeStep":2}]"#) == [3, 2, 2])
        #expect(try await users(#"\#(window),"filters":{"userIds":["bob"]}"#) == [1, 1, 1])
        #expect(try await users(#"\#(window),"filters":{"data":{"n":3}}"#) == [0, 0, 0])
    }

    @Test func `a funnel by group has the others in one`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let body =
                #"{"steps":[{"types":["view"]},{"types":["order"],"data":{"n":[3,"x"]}}],"groupBy":"data.plan","limit":1,\#(Self.range)}"#
            let answer = try await client.post(Self.funnels, body).text
            let first =
                #"{"key":"pro","steps":[{"users":2,"shareOfFirst":1.0,"shareOfPrevious":1.0,"medianSeconds":null,"p90Seconds":null},{"users":1,"#
            #expect(answer.contains(#""groups":[\#(first)"#), "\(answer)")
            #expect(answer.contains(#""other":{"steps":[{"users":1,"#) && answer.contains(#"{"users":0,"shareOfFirst":0.0,"#), "\(answer)")
        }
    }

    @Test(
        arguments: [
            ("[]", "JSON object"), ("{", "read as JSON"), (#"{"steps":1}"#, "'steps' must be an array of 2 to 10"),
            ("{}", "'steps' is missing"),
            (#"{"steps":[{"types":["a"]}]}"#, "'steps'"), (#"{"steps":[{"types":["a"]},{}]}"#, "'steps[1].types'"),
            (#"{"steps":[{"types":["a"]},{"types":"a"}]}"#, "'steps[1].types'"),
            (#"{"steps":[{"types":["a"]},{"types":[""]}]}"#, "'steps[1].types[0]'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"],"type":"c"}]}"#, "'steps[1].type' is not known"),
            (#"{"steps":[{"types":["a"]},{"types":["b"],"data":{"$x":1}}]}"#, "'steps[1].data.$x'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"],"data":{"x":{}}}]}"#, "'steps[1].data.x'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"order":"best"}"#, "'order' may be ordered, strict, any"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"windowSeconds":0}"#, "'windowSeconds' must be an integer from 1"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"windowSeconds":1.5}"#, "'windowSeconds'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"limit":5}"#, "'limit' goes with 'groupBy'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"groupBy":"x"}"#, "'groupBy'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"exclusions":[{"types":["c"],"afterStep":2}]}"#, "'exclusions[0].afterStep'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"exclusions":[{"types":["c"]}],"order":"strict"}"#, "'exclusions'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"from":"yesterday"}"#, "'from'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"from":"2026-03-01T00:00:00Z","to":"2026-03-01T00:00:00Z"}"#, "'to'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"tz":"Mars/Olympus"}"#, "'tz'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"maxAge":-1}"#, "'maxAge'"),
            (#"{"steps":[{"types":["a"]},{"types":["b"]}],"filters":{"type":["a"]}}"#, "'filters.type' is not known"),
            (#"{"steps":[],"steps":[]}"#, "a member twice"), (#"{"steps":[[[[[[[[[[1]]]]]]]]]]}"#, "nested too deeply"),
        ])
    func `a wrong body says where, what and what to do`(body: String, says: String) async throws {
        try await service.run { client in
            let response = try await client.post(Self.funnels, body)
            #expect(response.status == .badRequest && response.isProblem, "\(body)")
            #expect((response.json["detail"] as? String)?.contains(says) == true, "\(body): \(response.text)")
        }
    }

    @Test func `a body is bounded, is JSON, and takes no parameters beside it`() async throws {
        try await service.run { client in
            let large = "{\"steps\":\"" + String(repeating: "x", count: 70_000) + "\"}"
            let tooLarge = try await client.post(Self.funnels, large)
            #expect(tooLarge.status == .contentTooLarge)
            #expect(try await client.post(Self.funnels, "{}", [.contentType: "text/plain"]).status == .unsupportedMediaType)
            #expect(try await client.post("\(Self.funnels)?from=2026-01-01T00:00:00Z", "{}").code == "unknown_parameter")
            #expect(try await client.get(Self.funnels).status == .methodNotAllowed)
        }
    }

    // MARK: Retention

    @Test func `retention has a row for each cohort`() async throws {
        try await store([
            ("40", "open", "2026-02-26T09:00:00Z", "ann", "{}"), ("41", "open", "2026-02-27T09:00:00Z", "ann", "{}"),
            ("42", "order", "2026-03-01T09:00:00Z", "ann", "{}"), ("43", "open", "2026-02-26T23:30:00Z", "bob", "{}"),
            ("44", "open", "2026-02-28T08:00:00Z", "bob", "{}"), ("45", "order", "2026-02-27T09:00:00Z", "cat", "{}"),
            ("46", "open", "2026-02-27T10:00:00Z", "cat", "{}"),
        ])
        try await service.run { client in
            let range = #""from":"2026-02-26T00:00:00Z","to":"2026-02-28T00:00:00Z","periods":3"#
            let body = #"{"first":{"types":["open"]},"firstEver":true,"returning":{"types":[]},"interval":"day","mode":"on",\#(range)}"#
            let response = try await client.post(Self.retention, body)
            let expected =
                #"{"from":"2026-02-26T00:00:00Z","to":"2026-02-28T00:00:00Z","tz":"UTC","asOf":"2026-03-01T12:00:00Z","incompleteFrom":"2026-03-01T00:00:00Z","#
                + #""interval":"day","mode":"on","cohorts":[{"start":"2026-02-26T00:00:00Z","size":2,"values":[2,1,1]},"#
                + #"{"start":"2026-02-27T00:00:00Z","size":1,"values":[1,0,0]}]}"#
            #expect(response.text == expected)
            let again = try await client.post(Self.retention, body)
            #expect(again.text == expected && again.headers[.init("X-Cache")!] == "HIT")
            func values(_ more: String) async throws -> [[Int]] {
                let answer = try await client.post(Self.retention, #"{"first":{"types":["open"]},"firstEver":true,\#(range),\#(more)}"#)
                return (answer.json["cohorts"] as? [[String: Any]] ?? []).compactMap { $0["values"] as? [Int] }
            }
            #expect(try await values(#""mode":"on_or_after""#) == [[2, 2, 1], [1, 0, 0]])
            #expect(try await values(#""mode":"unbounded""#) == [[2, 2, 2], [1, 0, 0]])
            #expect(try await values(#""returning":{"types":["order"]}"#) == [[0, 0, 0], [1, 0, 0]])
            // Without a range as many cohorts as periods, of which the last is the present day.
            let usual = try await client.post(Self.retention, #"{"periods":4}"#).json
            #expect(usual["from"] as? String == "2026-02-26T00:00:00Z" && usual["incompleteFrom"] as? String == "2026-03-01T00:00:00Z")
            #expect((usual["cohorts"] as? [[String: Any]])?.compactMap { $0["size"] as? Int } == [2, 2, 1, 1])
        }
    }

    @Test(
        arguments: [
            (#"{"interval":"hour"}"#, "'interval' may be day, week, month"), (#"{"periods":101}"#, "'periods'"),
            (#"{"mode":"after"}"#, "'mode'"),
            (#"{"firstEver":1}"#, "'firstEver' must be true or false"), (#"{"first":{"userIds":["a"]}}"#, "'first.userIds' is not known"),
            (#"{"from":"2020-01-01T00:00:00Z"}"#, "more than 500 cohorts"), (#"{"steps":[]}"#, "'steps' is not known"),
        ])
    func `a wrong question about retention says what is wrong`(body: String, says: String) async throws {
        try await service.run { client in
            let response = try await client.post(Self.retention, body)
            #expect(response.status == .badRequest && (response.json["detail"] as? String)?.contains(says) == true, "\(response.text)")
        }
    }
}
