import AnalyticsCore
import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@Suite struct CollectTests {
    @Test func `one event is published and answered 202`() async throws {
        let service = TestService()
        try await service.run { client in
            let response = try await client.post("/api/v1/events", Sample.event("a"))
            #expect(response.status == .accepted)
            #expect(response.text == #"{"id":"a","status":"accepted"}"#)
            #expect(response.headers[.contentType] == "application/json")
        }
        let event = try #require(try service.publisher.events.first)
        #expect(event.id == "a" && event.data?.text == #"{"n":1}"#)
    }

    @Test func `an event without an id gets one`() async throws {
        let service = TestService()
        try await service.run { client in
            let response = try await client.post("/api/v1/events", #"{"type":"t","source":"s","data":null}"#)
            #expect((response.json["id"] as? String)?.hasPrefix("id-") == true)
        }
    }

    @Test func `a missing content type is read as JSON`() async throws {
        try await TestService().run { client in
            let response = try await client.post("/api/v1/events", Sample.event("a"), [:])
            #expect(response.status == .accepted)
        }
    }

    @Test(arguments: [
        ("application/json", "[\(Sample.event("a")),\(Sample.event("b"))]"),
        ("application/json; charset=utf-8", "{\"sentAt\":\"2026-03-01T12:00:00Z\",\"events\":[\(Sample.event("a")),\(Sample.event("b"))]}"),
        ("application/x-ndjson", "\(Sample.event("a"))\n\n\(Sample.event("b"))\r\n"),
        ("application/ndjson", "\(Sample.event("a"))\n\(Sample.event("b"))"),
        ("application/jsonl", "\(Sample.event("a"))\n\(Sample.event("b"))\n"),
    ])
    func `a batch comes as an array, an envelope or lines`(type: String, body: String) async throws {
        let service = TestService()
        try await service.run { client in
            let response = try await client.post("/api/v1/events/batch", body, [.contentType: type])
            #expect(response.status == .accepted)
            #expect(response.text == #"{"accepted":2,"rejected":[]}"#)
        }
        #expect(try service.publisher.events.map(\.id) == ["a", "b"])
    }

    @Test func `what is wrong with an event of a batch is said, and the others are accepted`() async throws {
        try await TestService().run { client in
            let late = Sample.event("b").replacing("2026-03-01T11:59", with: "2036-03-01T11:59")
            let response = try await client.post("/api/v1/events/batch", "[\(Sample.event("a")),\(late)]")
            #expect(response.status == .accepted)
            let rejected = try #require((response.json["rejected"] as? [[String: Any]])?.first)
            #expect(response.json["accepted"] as? Int == 1)
            #expect(rejected["index"] as? Int == 1 && rejected["id"] as? String == "b")
            #expect(rejected["field"] as? String == "timestamp" && rejected["code"] as? String == "timestamp_in_future")
            #expect(rejected["message"] is String)
        }
    }

    @Test func `a batch of which nothing is accepted is answered 400 in the same shape`() async throws {
        try await TestService().run { client in
            let response = try await client.post("/api/v1/events/batch", "[{},{}]")
            #expect(response.status == .badRequest && response.isProblem && response.code == "events_rejected")
            #expect(response.json["accepted"] as? Int == 0)
            #expect((response.json["rejected"] as? [Any])?.count == 2)
        }
    }

    @Test func `an array on the single route is told where to go`() async throws {
        try await TestService().run { client in
            let response = try await client.post("/api/v1/events", " [\(Sample.event("a"))]")
            #expect(response.status == .badRequest && response.code == "not_an_object")
            #expect((response.json["detail"] as? String)?.contains("/api/v1/events/batch") == true)
        }
    }

    @Test func `an idempotency key makes ids that stay the same`() async throws {
        let service = TestService()
        try await service.run { client in
            let headers: HTTPFields = [.contentType: "application/json", HTTPField.Name("Idempotency-Key")!: "order 1"]
            let body = #"{"type":"t","source":"s","data":null}"#
            let first = try await client.post("/api/v1/events", body, headers)
            let second = try await client.post("/api/v1/events", body, headers)
            #expect(first.text == second.text && first.status == .accepted)
            for key in [String(repeating: "k", count: 256), "schlüssel"] {
                let wrong = try await client.post("/api/v1/events", body, [HTTPField.Name("Idempotency-Key")!: key])
                #expect(wrong.status == .badRequest && wrong.code == "invalid_header")
            }
        }
    }

    // MARK: CloudEvents

    @Test func `CloudEvents come in structured, batched and binary mode`() async throws {
        let service = TestService()
        try await service.run { client in
            let event = #"{"specversion":"1.0","id":"ce-1","source":"/s","type":"t","time":"2026-03-01T11:00:00Z","data":{"a":1}}"#
            let structured = try await client.post("/api/v1/events", event, [.contentType: "application/cloudevents+json; charset=utf-8"])
            #expect(structured.text == #"{"id":"ce-1","status":"accepted"}"#)
            let batched = try await client.post(
                "/api/v1/events/batch", "[\(event)]", [.contentType: "application/cloudevents-batch+json"])
            #expect(batched.text == #"{"accepted":1,"rejected":[]}"#)
            let binary = try await client.post(
                "/api/v1/events", "hello",
                ceHeaders(["specversion": "1.0", "id": "ce%20%E2%82%AC", "source": "/s", "type": "\"t\""], "text/plain"))
            #expect(binary.text == #"{"id":"ce €","status":"accepted"}"#)
        }
        let events = try service.publisher.events
        #expect(events.map(\.id) == ["ce-1", "ce-1", "ce €"])
        #expect(events[2].type == "t" && events[2].data?.text == #""hello""#)
    }

    @Test func `CloudEvents on the wrong route are told where to go`() async throws {
        try await TestService().run { client in
            let batch = try await client.post("/api/v1/events", "[]", [.contentType: "application/cloudevents-batch+json"])
            #expect(batch.status == .unsupportedMediaType && batch.text.contains("/api/v1/events/batch"))
            let single = try await client.post("/api/v1/events/batch", "{}", [.contentType: "application/cloudevents+json"])
            #expect(single.status == .unsupportedMediaType && single.text.contains("POST /api/v1/events;"))
            let lines = try await client.post("/api/v1/events", "{}", [.contentType: "application/x-ndjson"])
            #expect(lines.status == .unsupportedMediaType && lines.text.contains("/api/v1/events/batch"))
        }
    }

    @Test func `of many rejected events the first 1000 are listed and the rest counted`() async throws {
        try await TestService().run { client in
            let names = String(repeating: "\u{10FFFD}", count: 400)
            let event = #"{"type":"t","source":"s","data":{},"\#(names)":1}"#
            for count in [1_000, 1_001, 8_000] {
                let response = try await client.post(
                    "/api/v1/events/batch", "[\(Array(repeating: event, count: count).joined(separator: ","))]")
                #expect(response.code == "events_rejected")
                let rejected = try #require(response.json["rejected"] as? [[String: Any]])
                #expect(rejected.count == 1_000 && rejected.last?["index"] as? Int == 999)
                #expect(response.json["rejectedCount"] as? Int == (count > 1_000 ? count : nil))
                // A rejection's field and message are 600 bytes each at the most.
                #expect(response.body.readableBytes < 1_600_000)
                #expect((rejected.first?["field"] as? String)?.utf8.count ?? 0 <= 603)
            }
        }
    }

    private func ceHeaders(_ attributes: [String: String], _ type: String) -> HTTPFields {
        var fields: HTTPFields = [.contentType: type]
        for (name, value) in attributes { fields[HTTPField.Name("ce-\(name)")!] = value }
        return fields
    }

    // MARK: The broker does not confirm

    @Test func `an unconfirmed event is answered 503 with its id`() async throws {
        let service = TestService()
        service.publisher.state.withLock { $0.confirmed = 0 }
        try await service.run { client in
            for query in ["", "?wait=stored&timeout=30"] {
                let response = try await client.post("/api/v1/events" + query, Sample.event("a"))
                #expect(response.status == .serviceUnavailable && response.isProblem && response.code == "broker_unavailable")
                #expect(response.headers[.retryAfter] == "1")
                #expect(response.json["id"] as? String == "a")
                #expect(!response.text.contains(FakePublisher.reason), "the log has it")
            }
        }
    }

    @Test func `a batch that is confirmed in part says what is to be sent again`() async throws {
        let service = TestService()
        service.publisher.state.withLock { $0.confirmed = 1 }
        try await service.run { client in
            // Two messages: a message holds at most 100 events.
            let body = (0..<150).map { Sample.event("e\($0)") }.joined(separator: "\n") + "\nbroken"
            let response = try await client.post("/api/v1/events/batch", body, [.contentType: "application/x-ndjson"])
            #expect(response.status == .serviceUnavailable && response.isProblem && response.code == "broker_unavailable")
            #expect(response.headers[.retryAfter] == "1")
            #expect(response.json["accepted"] as? Int == 100 && !response.text.contains(FakePublisher.reason))
            #expect((response.json["rejected"] as? [[String: Any]])?.map { $0["index"] as? Int } == [150])
            let retry = try #require(response.json["retry"] as? [[String: Any]])
            #expect(retry.map { $0["index"] as? Int } == (100..<150).map { $0 })
            #expect(retry.first?["id"] as? String == "e100")
        }
    }

    // MARK: wait=stored

    @Test func `waiting tells stored from duplicate`() async throws {
        try await TestService().run { client in
            let first = try await client.post("/api/v1/events?wait=stored&timeout=20s", Sample.event("a"))
            #expect(first.status == .ok)
            #expect(first.text == #"{"id":"a","status":"stored","stored":1,"duplicates":0}"#)
            let second = try await client.post("/api/v1/events?wait=stored", Sample.event("a"))
            #expect(second.text == #"{"id":"a","status":"duplicate","stored":0,"duplicates":1}"#)
            let batch = try await client.post("/api/v1/events/batch?wait=stored", "[\(Sample.event("a")),\(Sample.event("b"))]")
            #expect(batch.status == .ok)
            #expect(batch.text == #"{"accepted":2,"stored":1,"duplicates":1,"rejected":[]}"#)
        }
    }

    @Test func `waiting in vain is answered 202 with what is pending`() async throws {
        let service = TestService()
        service.publisher.state.withLock { $0.store = nil }
        try await service.run { client in
            let single = try await client.post("/api/v1/events?wait=stored&timeout=0.01s", Sample.event("a"))
            #expect(single.status == .accepted)
            #expect(single.text == #"{"id":"a","status":"accepted","stored":0,"duplicates":0,"pending":1}"#)
            let batch = try await client.post("/api/v1/events/batch?wait=stored&timeout=0", "[\(Sample.event("a"))]")
            #expect(batch.status == .accepted)
            #expect(batch.text == #"{"accepted":1,"stored":0,"duplicates":0,"pending":1,"rejected":[]}"#)
        }
    }

    @Test(arguments: [
        "wait=yes", "wait=", "timeout=5", "wait=stored&timeout=31", "wait=stored&timeout=-1", "wait=stored&timeout=1e9",
        "wait=stored&timeout=nan",
        "wait=stored&timeout=", "wait=stored&wait=stored", "wait=stored&timeout=5m", "Wait=stored",
    ])
    func `other ways to wait are answered 400 and nothing is taken in`(query: String) async throws {
        let service = TestService()
        try await service.run { client in
            let response = try await client.post("/api/v1/events?" + query, Sample.event("a"))
            #expect(response.status == .badRequest && response.isProblem)
        }
        #expect(try service.publisher.events.isEmpty)
    }
}
