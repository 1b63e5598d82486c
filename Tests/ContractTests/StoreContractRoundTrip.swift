import AnalyticsCore
import AnalyticsJSON
import TestSupport
import Testing

@Suite("Store contract: events come back as they went in")
struct StoreContractRoundTrip {
    @Test("every field, there or not", arguments: StoreBackend.available)
    func fields(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let full = StoredEvent(
                event: Event(
                    project: "p-q", id: "full", type: "page view", source: "web/eu-1", timestamp: noon + .milliseconds(123),
                    clientTimestamp: noon - .milliseconds(77), data: JSONText(normalised: #"{"a":1}"#), correlationId: "c-1",
                    metadata: JSONText(normalised: #"{"m":[true,null]}"#), userId: "ü-1", anonymousId: "",
                    sessionId: "", receivedAt: noon + .milliseconds(456), ingestID: "receipt:17"
                ),
                processedAt: noon + .milliseconds(789), context: JSONText(normalised: #"{"browser":"Firefox"}"#), fingerprint: .min
            )
            var bare = full
            bare.event.id = "bare"
            bare.event.clientTimestamp = nil
            bare.event.data = nil
            bare.event.correlationId = nil
            bare.event.metadata = nil
            bare.event.userId = nil
            bare.event.anonymousId = nil
            bare.event.sessionId = nil
            bare.context = nil
            bare.fingerprint = .max
            try await store.add([full, bare])
            #expect(try await store.event(project: "p-q", id: "full") == full)
            #expect(try await store.event(project: "p-q", id: "bare") == bare)
            #expect(try await store.event(project: "p-q", id: "none") == nil)
            #expect(try await store.events(matching: Selection(project: "p-q"), after: nil, limit: 10) == [full, bare])
        }
    }

    static let documents = [
        "null", "true", "false", "0", "-1", "42", "42.0", "0.1", "-2.5", "1234567.125", #""text""#, #""""#, "[]", "{}",
        "9223372036854775807", "-9223372036854775808", "9007199254740993",
        #"{"$set":{"a":1},"$date":"2020-01-01T00:00:00Z","$oid":"x","$numberLong":"1"}"#,
        #"{"a.b":{"c.d":1},".":2,"a.":3}"#,
        #"{"":{"":""}}"#,
        #"{"z":1,"a":2,"m":{"z":[],"a":{}}}"#,
        #"{"_id":1,"v":"Grüße, 世界 👩‍👩‍👧","é":"é","e\#u{301}":"e\#u{301}"}"#,
        #"{"nul":"a\u0000b","quote":"\"\\","newline":"a\nb"}"#,
        #"[[[1,[2,{"a":[null,true,-0.5]}]]],[]]"#,
        #"{"0":"a","1":"b"}"#,
    ]

    @Test("any JSON as data", arguments: StoreBackend.available)
    func data(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let events = Self.documents.enumerated().map { stored("e\($0)", data: $1) }
            try await store.add(events)
            for (index, document) in Self.documents.enumerated() {
                let text = try await store.event(project: "p", id: "e\(index)")?.event.data?.text
                #expect(bytes(text) == bytes(document), "\(document) came back as \(text ?? "nil")")
            }
        }
    }

    @Test("deep nesting and long strings as data", arguments: StoreBackend.available)
    func large(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let deep = String(repeating: #"{"a":["#, count: 16) + "1" + String(repeating: "]}", count: 16)
            let long = "\"" + String(repeating: "ö", count: 100_000) + "\""
            try await store.add([stored("deep", data: deep), stored("long", data: long)])
            #expect(try await store.event(project: "p", id: "deep")?.event.data?.text == deep)
            #expect(try await store.event(project: "p", id: "long")?.event.data?.text == long)
        }
    }

    @Test("metadata and context take any object", arguments: StoreBackend.available)
    func objects(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var event = stored("a")
            event.event.metadata = JSONText(normalised: #"{"$where":"1","a.b":{"":[1.5,9223372036854775807]}}"#)
            event.context = JSONText(normalised: #"{"$ip":"203.0.113.0","utm.source":"x"}"#)
            try await store.add([event])
            #expect(try await store.event(project: "p", id: "a") == event)
        }
    }

    @Test("every moment that can be written, to the millisecond", arguments: StoreBackend.available)
    func moments(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let moments = [-1, 0, 1, -60_000, -60_001, 999].map { Timestamp(milliseconds: $0) } + [.earliest, .latest]
            try await store.add(moments.enumerated().map { stored("e\($0)", at: $1) })
            for (index, moment) in moments.enumerated() {
                #expect(try await store.event(project: "p", id: "e\(index)")?.event.timestamp == moment)
            }
            let listed = try await store.events(matching: Selection(project: "p"), after: nil, limit: 100)
            #expect(listed.map(\.event.timestamp) == moments.sorted(by: >))
        }
    }

    @Test("strings that mean something to a database", arguments: StoreBackend.available)
    func strings(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (index, text) in ["$ne", "a.b", "'; DROP TABLE events; --", "%_*?", ".*", "e\u{301}", "null", "tab\tnew\nline"].enumerated()
            {
                var event = stored("id\(index)\(text)", type: text, source: text, userId: text, anonymousId: text, correlationId: text)
                event.event.sessionId = text
                event.event.ingestID = text
                try await store.add([event])
                let back = try #require(try await store.event(project: "p", id: "id\(index)\(text)"))
                #expect(back == event)
                #expect(bytes(back.event.type) == bytes(text))
                let filter = Selection(
                    project: "p", types: [text], sources: [text], userIds: [text], anonymousIds: [text], correlationIds: [text])
                #expect(try await store.events(matching: filter, after: nil, limit: 2) == [event])
                #expect(try await store.ids(Selection(project: "p", anonymousIds: [text])) == [event.event.id])
            }
        }
    }

    @Test("a NUL never cuts a string short: kept whole or refused", arguments: StoreBackend.available)
    func nul(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var event = stored("a", type: "t\u{0}x", source: "s\u{0}x", userId: "u\u{0}x", anonymousId: "a\u{0}x", correlationId: "c\u{0}x")
            event.event.sessionId = "\u{0}"
            let outcome = try await store.insert([event, stored("b")])
            #expect(outcome.last == .stored)
            if outcome.first == .stored {
                #expect(try await store.event(project: "p", id: "a") == event)
            } else {
                guard case .refused = outcome.first else { throw UnexpectedOutcome(outcome: outcome[0]) }
                #expect(try await store.event(project: "p", id: "a") == nil)
            }
        }
    }
}
