import AnalyticsCore
import Foundation
import GzipCodec
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

/// Each row of bad input, over a real connection: it is answered 400 with its reason, and the next request on the connection is served.
@Suite struct BadInputTests {
    struct Row: CustomTestStringConvertible {
        var name: String
        /// The whole body, for the single route.
        var body: [UInt8]
        var code: String
        var field: String?
        /// Whether the row can stand in an array without breaking it.
        var isContained = true

        var testDescription: String { name }

        init(_ name: String, _ body: String, _ code: String, field: String? = nil, contained: Bool = true) {
            self.init(name, bytes: Array(body.utf8), code, field: field, contained: contained)
        }

        init(_ name: String, bytes: [UInt8], _ code: String, field: String? = nil, contained: Bool = true) {
            (self.name, body, self.code, self.field, isContained) = (name, bytes, code, field, contained)
        }

        /// An event that is right but for one member.
        static func member(_ name: String, _ member: String, _ code: String, field: String? = nil) -> Row {
            Row(name, #"{"type":"t","source":"s","data":1,\#(member)}"#, code, field: field)
        }

        static func data(_ name: String, _ json: String, _ code: String) -> Row {
            Row(name, #"{"type":"t","source":"s","data":\#(json)}"#, code)
        }
    }

    static let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)

    static let rows: [Row] = [
        .data("depth 100,000", deep, "too_deep"),
        .data("depth 32 inside the event", String(repeating: "[", count: 32) + String(repeating: "]", count: 32), "too_deep"),
        .data("NaN", "NaN", "invalid_json"),
        .data("1e400", "1e400", "number_out_of_range"),
        .data("-1e400", "[-1e400]", "number_out_of_range"),
        .data("an integer of 30 digits", "123456789012345678901234567890", "number_out_of_range"),
        .data("duplicate keys", #"{"a":1,"a":2}"#, "duplicate_key"),
        .data("NUL in a key", #"{"a\u0000b":1}"#, "nul_in_key"),
        Row("bad UTF-8", bytes: Array(#"{"type":"t","source":"s","data":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8), "invalid_utf8"),
        Row("a lone surrogate", #"{"type":"t","source":"s","data":"\ud800"}"#, "invalid_json"),
        .member("an object as id", #""id":{"$gt":""}"#, "invalid_type", field: "id"),
        .member("a number as id", #""id":7"#, "invalid_type", field: "id"),
        .member("an empty id", #""id":"""#, "invalid_value", field: "id"),
        .member("an id of 129 characters", #""id":"\#(String(repeating: "x", count: 129))""#, "invalid_value", field: "id"),
        .member("a control character in an id", #""id":"a\u0007""#, "invalid_value", field: "id"),
        .member("an unknown field", #""colour":"red""#, "unknown_field", field: "colour"),
        .member("the same field twice", #""data":2"#, "duplicate_key"),
        .member("metadata that is no object", #""metadata":[1]"#, "invalid_type", field: "metadata"),
        .member("a timestamp that is none", #""timestamp":"yesterday""#, "invalid_timestamp", field: "timestamp"),
        .member("a fractional timestamp", #""timestamp":1.5"#, "invalid_timestamp", field: "timestamp"),
        .member("a timestamp in the future", #""timestamp":"2026-03-01T13:00:01Z""#, "timestamp_in_future", field: "timestamp"),
        .member("a timestamp too old", #""timestamp":"2026-01-01T00:00:00Z""#, "timestamp_too_old", field: "timestamp"),
        Row("no type", #"{"source":"s","data":1}"#, "missing_field", field: "type"),
        Row("no source", #"{"type":"t","data":1}"#, "missing_field", field: "source"),
        Row("no data", #"{"type":"t","source":"s"}"#, "missing_field", field: "data"),
        Row(
            "a type of 201 characters", #"{"type":"\#(String(repeating: "x", count: 201))","source":"s","data":1}"#, "invalid_value",
            field: "type"),
        .data("an event of 256 KiB and more", "\"\(String(repeating: "x", count: 256 * 1024))\"", "event_too_large"),
        Row("a string", "\"event\"", "not_an_object"),
        Row("a number", "17", "not_an_object"),
        Row("null", "null", "not_an_object"),
        Row("broken JSON", #"{"type":"t","#, "invalid_json", contained: false),
        Row("something behind the end", Sample.event("a") + "}", "invalid_json", contained: false),
        Row("no body", "", "invalid_json", contained: false),
        Row("white space", " \n ", "invalid_json", contained: false),
        Row(
            "40,000 brackets", String(repeating: "{\"a\":", count: 40_000) + "1" + String(repeating: "}", count: 40_000), "too_deep",
            contained: false),
    ]

    @Test(arguments: rows)
    func `a bad event is answered 400 with its reason, and the next is accepted`(row: Row) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let response = try await client.post("/api/v1/events", row.body)
            #expect(response.status == .badRequest)
            #expect(response.isProblem)
            #expect(response.code == row.code)
            if let field = row.field { #expect(response.json["field"] as? String == field) }
            #expect(try await client.post("/api/v1/events", Sample.event("next")).status == .accepted)
        }
        #expect(try service.publisher.events.map(\.id) == ["next"])
    }

    @Test(arguments: rows.filter(\.isContained))
    func `a bad event of a batch leaves the others alone`(row: Row) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let body = Array("[\(Sample.event("before")),".utf8) + row.body + Array(",\(Sample.event("after"))]".utf8)
            let response = try await client.post("/api/v1/events/batch", body)
            #expect(response.status == .accepted)
            #expect(response.json["accepted"] as? Int == 2)
            let rejected = try #require((response.json["rejected"] as? [[String: Any]])?.first)
            #expect(rejected["index"] as? Int == 1 && rejected["code"] as? String == row.code)
        }
        #expect(try service.publisher.events.map(\.id) == ["before", "after"])
    }

    @Test(arguments: rows.filter { !$0.body.isEmpty && !$0.body.contains(0x0A) })
    func `a bad line is rejected by itself`(row: Row) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let body = Array("\(Sample.event("before"))\n".utf8) + row.body + Array("\n\(Sample.event("after"))\n".utf8)
            let response = try await client.post("/api/v1/events/batch", body, [.contentType: "application/x-ndjson"])
            #expect(response.status == .accepted)
            #expect((response.json["rejected"] as? [[String: Any]])?.map { $0["code"] as? String } == [row.code])
        }
        #expect(try service.publisher.events.map(\.id) == ["before", "after"])
    }

    @Test(arguments: [
        #"{"$where":"1","$gt":{"$ne":null}}"#, #"{"a.b":1,".":2,"..":{"x.":3}}"#, #"{"":1,"a":{"":{"":2}}}"#,
        #"{"$date":"2026-01-01","$oid":"x"}"#, #"{"__proto__":1,"_id":2}"#, #"{"nul":"a\u0000b"}"#, "\"{}\"", "null", "[]",
    ])
    func `strange data is kept as it is`(data: String) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let response = try await client.post("/api/v1/events?wait=stored", #"{"id":"a","type":"t","source":"s","data":\#(data)}"#)
            #expect(response.status == .ok)
            #expect(try await client.get("/api/v1/events/a").text.contains("\"data\":\(data),"))
        }
    }

    @Test(arguments: [
        ("application/json", "[]", "empty_batch"), ("application/json", #"{"events":[]}"#, "empty_batch"),
        ("application/x-ndjson", "\n\n", "empty_batch"), ("application/json", "", "invalid_envelope"),
        ("application/json", "[1,2", "invalid_json"), ("application/json", "[] []", "invalid_json"),
        ("application/json", #"{"type":"t","source":"s","data":1}"#, "invalid_envelope"),
        ("application/json", #"{"sentAt":"2026-03-01T12:00:00Z"}"#, "invalid_envelope"),
        ("application/json", #"{"events":{},"sentAt":1}"#, "invalid_envelope"),
        ("application/json", #"{"events":[1],"sentAt":"soon"}"#, "invalid_envelope"),
        ("application/json", #"{"events":[1],"events":[2]}"#, "invalid_envelope"),
        ("application/cloudevents-batch+json", "{}", "invalid_envelope"),
        ("application/json", BadInputTests.deep, "events_rejected"),
    ])
    func `what is no batch is answered 400`(type: String, body: String, code: String) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let response = try await client.post("/api/v1/events/batch", body, [.contentType: type])
            #expect(response.status == .badRequest && response.isProblem)
            #expect(response.code == code)
            #expect(try await client.post("/api/v1/events", Sample.event("next")).status == .accepted)
        }
    }

    @Test func `10,000 events are a batch, 10,001 are not`() async throws {
        let service = TestService()
        try await service.run { client in
            let events = (0..<10_000).map { Sample.event("e\($0)") }
            let most = try await client.post("/api/v1/events/batch", "[\(events.joined(separator: ","))]")
            #expect(most.text == #"{"accepted":10000,"rejected":[]}"#)
            for type in ["application/x-ndjson", "application/json"] {
                let all = events + [Sample.event("one")]
                let body = type.hasSuffix("ndjson") ? all.joined(separator: "\n") : "[\(all.joined(separator: ","))]"
                let response = try await client.post("/api/v1/events/batch", body, [.contentType: type])
                #expect(response.status == .badRequest && response.code == "too_many_events")
            }
        }
    }

    @Test func `what comes back of a client's keys is cut`() async throws {
        try await TestService().run { client in
            let key = String(repeating: "k", count: 100_000)
            let response = try await client.post("/api/v1/events", #"{"type":"t","source":"s","data":1,"\#(key)":1}"#)
            #expect(response.code == "unknown_field" && response.body.readableBytes < 3000)
        }
    }

    // MARK: Bodies

    @Test(arguments: [
        "text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "json", ";",
    ])
    func `other content types are answered 415`(type: String) async throws {
        try await TestService().run { client in
            for route in ["/api/v1/events", "/api/v1/events/batch"] {
                let response = try await client.post(route, Sample.event("a"), [.contentType: type])
                #expect(response.status == .unsupportedMediaType && response.isProblem && response.code == "unsupported_media_type")
            }
        }
    }

    @Test(arguments: ["br", "deflate", "zstd", "gzip, gzip"])
    func `other content encodings are answered 415`(encoding: String) async throws {
        try await TestService().run { client in
            let response = try await client.post("/api/v1/events", Sample.event("a"), [.contentEncoding: encoding])
            #expect(response.status == .unsupportedMediaType && response.code == "unsupported_content_encoding")
            #expect(response.headers[.acceptEncoding] == "gzip")
        }
    }

    @Test func `gzip is read on both routes`() async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let headers: HTTPFields = [.contentType: "application/json", .contentEncoding: "gzip"]
            let single = try await client.post("/api/v1/events", try Gzip.compress(Array(Sample.event("a").utf8)), headers)
            #expect(single.status == .accepted)
            let events = (0..<5_000).map { Sample.event("e\($0)") }.joined(separator: ",")
            let batch = try await client.post("/api/v1/events/batch", try Gzip.compress(Array("[\(events)]".utf8)), headers)
            #expect(batch.text == #"{"accepted":5000,"rejected":[]}"#)
        }
    }

    @Test func `damaged gzip is answered 400 and nothing is taken in`() async throws {
        let service = TestService()
        let lines = (0..<5_000).map { Sample.event("e\($0)") }.joined(separator: "\n")
        let whole = try Gzip.compress(Array(lines.utf8))
        var flipped = whole
        flipped[whole.count / 2] ^= 0xFF
        for damaged in [Array(whole.dropLast(10)), Array(whole.prefix(1)), flipped, Array("not gzip".utf8), whole + [1, 2, 3], []] {
            try await service.run(.live) { client in
                let response = try await client.post(
                    "/api/v1/events/batch", damaged, [.contentType: "application/x-ndjson", .contentEncoding: "gzip"])
                #expect(response.status == .badRequest && response.code == "invalid_content_encoding")
            }
        }
        #expect(try service.publisher.events.isEmpty)
    }
}
