import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// How old answers about users may be, and what they say of it. It is 2026-03-01T12:00:00Z.
@Suite struct RecentAnswerTests {
    private let service = TestService()

    private func store(_ events: [(id: String, type: String, day: Int, user: String?)], isBot: Bool = false, device: String? = nil)
        async throws
    {
        try await service.store.process(
            events.map { each in
                let time = Timestamp(rfc3339: "2026-02-0\(each.day)T09:00:00Z")!
                let event = Event(
                    project: "default", id: each.id, type: each.type, source: "web", timestamp: time, data: JSONText(normalised: "{}"),
                    userId: each.user, anonymousId: device, receivedAt: time, ingestID: "r:\(each.id)")
                return StoredEvent(
                    event: event, processedAt: time, context: isBot ? JSONText(normalised: #"{"bot":true}"#) : nil, fingerprint: 0)
            })
    }

    private static let parameters = "from=2026-02-01T00:00:00Z&to=2026-02-06T00:00:00Z"
    private static let members = #""from":"2026-02-01T00:00:00Z","to":"2026-02-06T00:00:00Z""#

    /// Paths with their bodies. What `AGE` stands for is added to both.
    private static let questions: [(path: String, body: String?)] = [
        ("/api/v1/analytics/lifecycle?\(parameters)", nil), ("/api/v1/analytics/stickiness?\(parameters)", nil),
        ("/api/v1/analytics/paths?\(parameters)&start=open", nil), ("/api/v1/analytics/sessions?\(parameters)", nil),
        ("/api/v1/analytics/uniques?\(parameters)", nil), ("/api/v1/users/ann?", nil),
        ("/api/v1/analytics/funnels", #"{"steps":[{"types":["open"]},{"types":["order"]}],\#(members)AGE}"#),
        ("/api/funnels", #"{"steps":["open","order"],\#(members)AGE}"#), ("/api/v1/analytics/retention", #"{\#(members)AGE}"#),
        ("/api/v1/analytics/people", #"{"question":"uniques","parameters":{\#(members)AGE}}"#),
        (
            "/api/v1/analytics/people",
            #"{"question":"funnels","step":1,"body":{"steps":[{"types":["open"]},{"types":["order"]}],\#(members)AGE}}"#
        ),
        ("/api/v1/analytics/people", #"{"question":"stickiness","intervals":1,"atLeast":true,"parameters":{\#(members)AGE}}"#),
    ]

    @Test(arguments: questions)
    func `an answer is some seconds old, as its asker allows, and says so`(path: String, body: String?) async throws {
        try await store([("1", "open", 1, "ann"), ("2", "order", 2, "ann")])
        try await service.run { client in
            func ask(_ age: Int? = nil) async throws -> (text: String, cache: String?) {
                let answer =
                    if let body {
                        try await client.post(path, body.replacing("AGE", with: age.map { #","maxAge":\#($0)"# } ?? ""))
                    } else {
                        try await client.get(path + (age.map { "&maxAge=\($0)" } ?? ""))
                    }
                #expect(answer.status == .ok, "\(answer.text)")
                #expect(path == "/api/funnels" || (answer.json["asOf"] as? String)?.hasPrefix("2026-03-01T12:00:00") == true)
                return (answer.text, answer.headers[.init("X-Cache")!])
            }
            let first = try await ask()
            #expect(first.cache == "MISS")
            #expect(try await ask() == (first.text, "HIT"))
            try await store([("3", "open", 3, "ann"), ("4", "open", 3, "bob"), ("5", "order", 3, "bob")])
            #expect(try await ask() == (first.text, "HIT"))
            let newest = try await ask(0)
            #expect(newest.text != first.text && newest.cache == "MISS")
            // What is kept for some seconds is what was kept.
            #expect(try await ask(5) == (first.text, "HIT"))
        }
    }

    @Test func `a user is told without bots unless they are asked for`() async throws {
        try await store([("1", "open", 1, "ann")])
        try await store([("2", "open", 2, "ann"), ("3", "open", 2, "robot")], isBot: true)
        try await service.run { client in
            for (query, ids) in [("", ["1"]), ("?bots=exclude", ["1"]), ("?bots=include", ["2", "1"])] {
                let json = try await client.get("/api/v1/users/ann\(query)").json
                #expect(json["events"] as? Int == ids.count)
                #expect((json["newest"] as? [[String: Any]])?.compactMap { $0["id"] as? String } == ids, "\(query)")
            }
            #expect(try await client.get("/api/v1/users/robot").status == .notFound)
        }
    }

    @Test func `a user has a thousand anonymous ids at the most, and ten events where no number is given`() async throws {
        for device in 0...1_000 { try await store([("\(device)", "$identify", 1 + device % 9, "ann")], device: "d\(10_000 + device)") }
        try await service.run { client in
            let json = try await client.get("/api/v1/users/ann").json
            let ids = try #require(json["anonymousIds"] as? [String])
            #expect(ids == (0..<1_000).map { "d\(10_000 + $0)" })
            #expect(json["events"] as? Int == 1_001 && (json["newest"] as? [Any])?.count == 10)
        }
    }

    @Test func `an answer about a user, and a list of users, for which there is no room are refused`() async throws {
        var service = service
        service.settings.maximumAnswerBytesInMemory = 2 * SlicedJSON.sliceBytes + 1_000
        try await store((0..<20).flatMap { [("ann \($0)", "open", 1, "ann"), ("\($0)", "open", 1, "user \($0)")] })
        try await service.run { client in
            let user = try await client.get("/api/v1/users/ann")
            #expect(user.code == "too_many_answers", "\(user.text)")
            let people = #"{"question":"uniques","parameters":{\#(Self.members)}LIMIT}"#
            #expect(try await client.post("/api/v1/analytics/people", people.replacing("LIMIT", with: "")).code == "too_many_answers")
            // There is room for one.
            #expect(try await client.post("/api/v1/analytics/people", people.replacing("LIMIT", with: #","limit":1"#)).status == .ok)
        }
    }
}
