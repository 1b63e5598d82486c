import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// What is read of a message, and what is refused as no message of ours.
struct EnvelopeDecoderTests {
    /// A message of one event, some of whose members are others.
    private static func message(header: [String: String] = [:], event: [String: String] = [:]) -> String {
        func object(_ members: [(String, String)], _ changes: [String: String]) -> String {
            let known =
                members.map { ($0.0, changes[$0.0] ?? $0.1) } + changes.filter { change in !members.contains { $0.0 == change.key } }
            return known.filter { !$0.1.isEmpty }.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",")
        }
        let event = object([("n", "0"), ("id", #""a""#), ("type", #""t""#), ("source", #""s""#), ("timestamp", "1")], event)
        let header = object([("v", "1"), ("project", #""p""#), ("request", #""r""#), ("receivedAt", "1")], header)
        return "{\(header),\"events\":[{\(event)}]}"
    }

    private static func string(_ character: String, _ count: Int) -> String { "\"\(String(repeating: character, count: count))\"" }

    private func error(_ text: String) -> String? {
        do throws(EnvelopeError) {
            _ = try EnvelopeDecoder().decode(Array(text.utf8))
            return nil
        } catch {
            return error.message
        }
    }

    @Test func theMessageThatTheOtherTestsChangeIsRead() throws {
        let envelope = try EnvelopeDecoder().decode(Array(Self.message().utf8))
        #expect(envelope.events.map(\.ingestID) == ["r:0"] && envelope.requestToReport == nil)
    }

    /// The ends of each range, and what lies beyond them.
    @Test(arguments: [
        ("-62135596800000", true), ("253402300799999", true), ("-62135596800001", false), ("253402300800000", false),
        ("9223372036854775807", false), ("-9223372036854775808", false), ("9223372036854775808", false), ("1.5", false), ("1e3", false),
        ("\"1\"", false), ("null", false), ("true", false), ("[]", false), ("01", false), ("+1", false), ("-", false),
    ])
    func aTimeIsOneThatAnEventCanHave(value: String, isRead: Bool) {
        #expect((error(Self.message(header: ["receivedAt": value])) == nil) == isRead, "receivedAt")
        #expect((error(Self.message(event: ["timestamp": value])) == nil) == isRead, "timestamp")
        #expect((error(Self.message(event: ["clientTimestamp": value])) == nil) == isRead, "clientTimestamp")
    }

    @Test(arguments: [
        ("0", true), ("999999", true), ("1000000", false), ("-1", false), ("9223372036854775807", false), ("-9223372036854775808", false),
        ("1.0", false), ("\"0\"", false), ("null", false),
    ])
    func aPositionIsOneOfARequest(value: String, isRead: Bool) {
        #expect((error(Self.message(event: ["n": value])) == nil) == isRead)
    }

    @Test(arguments: [("0", true), ("1", true), ("2", false), ("-1", false), ("true", false), ("\"1\"", false), ("null", false)])
    func waitsIsZeroOrOne(value: String, isRead: Bool) {
        #expect((error(Self.message(header: ["waits": value])) == nil) == isRead)
    }

    @Test(arguments: [
        ("\"a-1_b\"", true), (string("a", 64), true), (string("a", 65), false), ("\"\"", false), ("\"A\"", false), ("\"a b\"", false),
        ("\"-a\"", false), ("\"cafe\u{301}\"", false), ("1", false), ("null", false), ("{}", false), (#""a\u0000""#, false),
    ])
    func aProjectIsASlug(value: String, isRead: Bool) {
        #expect((error(Self.message(header: ["project": value])) == nil) == isRead)
    }

    @Test func aTextHasTheLengthThatIngestAllows() {
        for name in ["id", "type", "source", "correlationId", "userId", "anonymousId", "sessionId", "request", "address"] {
            let isOfHeader = ["request", "address"].contains(name)
            let limit = isOfHeader || name == "id" ? 128 : 200
            func read(_ value: String) -> Bool {
                error(isOfHeader ? Self.message(header: [name: value]) : Self.message(event: [name: value])) == nil
            }
            for character in ["x", "ä", "😀"] { #expect(read(Self.string(character, limit)), "\(name) of \(limit) \(character)") }
            #expect(!read(Self.string("x", limit + 1)), "\(name) too long")
            #expect(!read(Self.string("😀", limit + 1)), "\(name) too long")
            for value in ["\"\"", "1", "null", "{}", #""a\u0000""#, #""a\n""#, "\"\u{7F}\"", "\"\u{85}\"", "\"\u{2028}\"", "\"\u{2029}\""] {
                #expect(!read(value), "\(name) \(value)")
            }
            // Printable in the Unicode of some version.
            for value in ["\"\u{0378}\"", "\"\u{E000}\"", "\"\u{301}\"", "\"\u{600}\"", "\"a\u{200D}\"", "\"\u{FFFF}\""] {
                #expect(read(value), "\(name) \(value)")
            }
        }
    }

    @Test(arguments: ["v", "project", "request", "receivedAt"])
    func aHeaderWithoutOneOfItsMembersIsNone(name: String) {
        #expect(error(Self.message(header: [name: ""])) != nil)
    }

    @Test(arguments: ["n", "id", "type", "source", "timestamp"])
    func anEventWithoutOneOfItsMembersIsNone(name: String) {
        #expect(error(Self.message(event: [name: ""])) != nil)
    }

    @Test(arguments: [
        #"{"v":1,"v":1,"project":"p","request":"r","receivedAt":1,"events":[]}"#,
        #"{"v":1,"project":"p","project":"q","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","pro\u006aect":"q","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}],"events":[]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"\u0065vents":[],"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"n\u0065w":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}],"later":null}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"new":1,"new":2,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","id":"b","type":"t","source":"s","timestamp":1}]}"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]}x"#,
        #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1}]"#,
    ])
    func aMemberThatStandsTwiceAndWhatFollowsTheEndAreRefused(body: String) {
        #expect(error(body) != nil)
    }

    @Test func metadataIsAnObject() {
        #expect(error(Self.message(event: ["metadata": "{}"])) == nil)
        for value in ["[]", "1", "null", "\"{}\""] { #expect(error(Self.message(event: ["metadata": value])) != nil, "\(value)") }
    }

    @Test func aHeaderThatIsNoUTF8IsRefusedAndNotRepaired() throws {
        for name in ["userAgent", "project", "request", "new"] {
            let text = Self.message(header: [name: "\"XY\""])
            var body = Array(text.utf8)
            let at = try #require(text.utf8.firstRange(of: "XY".utf8)).lowerBound
            body[text.utf8.distance(from: text.utf8.startIndex, to: at)] = 0xFF
            #expect(throws: EnvelopeError("the header is not valid JSON: utf8")) { try EnvelopeDecoder().decode(body) }
        }
    }

    @Test func aMessageHoldsAnEventAndABoundedNumberOfThem() {
        let event = #"{"n":0,"id":"a","type":"t","source":"s","timestamp":1}"#
        func message(_ count: Int) -> String {
            let events = repeatElement(event, count: count).joined(separator: ",")
            return #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":["# + events + "]}"
        }
        #expect(error(message(0)) == "no events")
        #expect(error(message(1_000)) == nil)
        #expect(error(message(1_001)) == "more than 1000 events")
    }

    @Test(arguments: [#"{"v":3}"#, #"{"v":3,"batches":[]}"#, #"{"v":3,"events":1}"#])
    func aNewerMessageIsToldInOneLine(body: String) {
        #expect(error(body) == "newer version: 3; this program reads versions up to 2")
    }

    @Test func membersOfLaterMinorVersionsArePassedOver() throws {
        let body = Self.message(header: ["new": #"{"a":[1]}"#], event: ["new": "[]"])
        #expect(try EnvelopeDecoder().decode(Array(body.utf8)).events.map(\.ingestID) == ["r:0"])
    }

    // MARK: What ingest lets in

    /// Printable by ingest's rules, with what combines, joins, prepends, and looks like an end.
    private static let pieces = [
        "a", "Z", "0", " ", "\"", "\\", "/", ":", ";", "`", "K", "\u{212A}", "\u{37E}", "é", "e\u{301}", "\u{301}", "\u{600}", "\u{200D}",
        "\u{1F1E6}", "\u{1F1E7}", "\u{FE0F}", "\u{1100}\u{1161}", "\u{AC00}", "😀", "\u{E000}", "\u{FEFF}", "\u{AD}", "漢", "\u{10FFFD}",
    ]

    @Test(arguments: 0..<200 as Range<UInt64>)
    func whatIngestLetsInIsRead(seed: UInt64) throws {
        var random = Seeded(seed)
        func text(_ limit: Int) -> String {
            var text = ""
            let length = 1 + random.below(random.chance(20) ? limit : 6)
            while text.unicodeScalars.count < length { text += Self.pieces[random.below(Self.pieces.count)] }
            return String(String.UnicodeScalarView(text.unicodeScalars.prefix(limit)))
        }
        var writer = JSONWriter()
        writer.beginArray()
        for _ in 0..<1 + random.below(30) {
            writer.beginObject()
            if random.chance(70) { writer.member("id", text(128)) }
            writer.member("type", text(200))
            writer.member("source", text(200))
            writer.member("data", JSONText(normalised: ["null", "1", #"{"a":[1.5,{}]}"#, #""x""#, "[[]]"][random.below(5)]))
            for name in ["correlationId", "userId", "anonymousId", "sessionId"] as [StaticString] where random.chance(50) {
                writer.member(name, text(200))
            }
            if random.chance(50) { writer.member("metadata", JSONText(normalised: #"{"m":1}"#)) }
            if random.chance(50) { writer.member("timestamp", noon.milliseconds - Int64(random.below(1 << 45))) }
            writer.endObject()
        }
        writer.endArray()
        let output = try decode(writer.bytes, as: NativeFormat.batch)
        #expect(output.rejected.first.map(\.message) == [], "seed \(seed)")
        let origin = RequestOrigin(address: "2001:db8::", userAgent: text(512))
        var encoder = EnvelopeEncoder(request: "req", origin: origin)
        for (index, event) in output.events { encoder.append(event, index: index) }
        let chunks = try encoder.finish().map { try EnvelopeDecoder().decode($0.body) }
        #expect(chunks.flatMap(\.events).map(encoding) == output.events.map { encoding($0.event) }, "seed \(seed)")
        for envelope in chunks { #expect(envelope.origin.userAgent.map { Array($0.utf8) } == origin.userAgent.map { Array($0.utf8) }) }
    }

    @Test func theEndsOfWhatIngestLetsInAreRead() throws {
        let limits = EventLimits(maximumBatchEvents: 100_000)
        let deep = String(repeating: "[", count: 31) + String(repeating: "]", count: 31)
        let body = """
            {"type":"t","source":"s","data":\(deep),"timestamp":"0001-01-01T00:00:00Z","metadata":{"a":{}},"id":\(Self.string("😀", 128))}
            """
        var event = try #require(try decode(body, limits: limits).events.first).event
        event.ingestID = "req:99999"
        #expect(
            try EnvelopeDecoder().decode(EnvelopeEncoder.single(event, origin: RequestOrigin())).events.map(encoding) == [encoding(event)])
        let whole = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        let binary = CloudEventsFormat.binary(
            attributes: ["id": "a", "source": "s", "type": "t", "specversion": "1.0"], contentType: "application/json")
        let cloudEvent = try #require(try decode(whole, as: binary).events.first).event
        #expect(
            try EnvelopeDecoder().decode(EnvelopeEncoder.single(cloudEvent, origin: RequestOrigin())).events.map(encoding) == [
                encoding(cloudEvent)
            ])
    }
}
