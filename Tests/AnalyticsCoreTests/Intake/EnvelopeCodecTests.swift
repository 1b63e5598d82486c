import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct EnvelopeCodecTests {
    private static let texts = [
        "", "a", "ä", "e\u{301}", "😀", "\"", "\\", "a/b", "__other__", "\u{FFFF}", "\u{301}", "\u{600}", "\u{200D}",
    ]
    /// What only a user agent may hold.
    private static let controls = ["\n\t\u{1}", "\u{7F}", "\u{2028}", "\r\n"]

    private func event(_ random: inout Seeded, index: Int) -> Event {
        func text(_ random: inout Seeded) -> String {
            (0..<1 + random.below(4)).map { _ in Self.texts.randomElement(using: &random)! }.joined() + "x"
        }
        let json = ["null", "1", "-0.5", "{}", #"{"a":{"$b":[1,"\"ä\\"]}}"#, "true", "\"\"", "[[],{}]"]
        return Event(
            project: "project-1", id: text(&random), type: text(&random), source: text(&random),
            timestamp: Timestamp(milliseconds: Int64(random.below(1 << 40)) - 1 << 39),
            clientTimestamp: random.chance(50) ? Timestamp(milliseconds: -Int64(random.below(1 << 40))) : nil,
            data: random.chance(80) ? JSONText(normalised: json.randomElement(using: &random)!) : nil,
            correlationId: random.chance(50) ? text(&random) : nil,
            metadata: random.chance(50) ? JSONText(normalised: #"{"k":1}"#) : nil, userId: random.chance(50) ? text(&random) : nil,
            anonymousId: random.chance(50) ? text(&random) : nil,
            visitorId: random.chance(30) ? Digest.hexadecimal(of: [text(&random)]) : nil,
            sessionId: random.chance(50) ? text(&random) : nil, receivedAt: noon,
            ingestID: "request:\(index)")
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func whatIsEncodedIsDecoded(seed: UInt64) throws {
        var random = Seeded(seed)
        let origin = RequestOrigin(
            address: random.chance(50) ? "192.0.2.0" : nil,
            userAgent: random.chance(70) ? (Self.texts + Self.controls).shuffled(using: &random).prefix(4).joined() : nil,
            country: random.chance(30) ? Country(["DE", "SE"].randomElement(using: &random)!) : nil)
        let events = (0..<1 + random.below(250)).map { event(&random, index: $0) }
        let reportRequested = random.chance(50)
        var encoder = EnvelopeEncoder(request: "request", origin: origin, reportRequested: reportRequested)
        for (index, event) in events.enumerated() { encoder.append(event, index: index) }
        let messages = encoder.finish()
        let chunks = try messages.map { try EnvelopeDecoder().decode($0.body) }
        #expect(chunks.flatMap(\.events) == events, "seed \(seed)")
        #expect(chunks.allSatisfy { $0.origin == origin }, "seed \(seed)")
        #expect(chunks.allSatisfy { $0.requestToReport == (reportRequested ? "request" : nil) }, "seed \(seed)")
        #expect(messages.map(\.events) == chunks.map(\.events.count), "seed \(seed)")
        #expect(messages.dropLast().allSatisfy { $0.events == 100 || $0.body.count >= EnvelopeEncoder.targetBytes }, "seed \(seed)")
    }

    @Test func aMessageHoldsAHundredEventsAtTheMost() {
        var encoder = EnvelopeEncoder(request: "r", origin: RequestOrigin())
        for index in 0..<250 { encoder.append(sample("e\(index)"), index: index) }
        #expect(encoder.finish().map(\.events) == [100, 100, 50])
    }

    @Test func aMessageIsClosedOnceItIsLargeEnough() {
        var encoder = EnvelopeEncoder(request: "r", origin: RequestOrigin())
        let data = "\"" + String(repeating: "x", count: 20_000) + "\""
        for index in 0..<7 { encoder.append(sample("e\(index)", data: data), index: index) }
        let messages = encoder.finish()
        #expect(messages.map(\.events) == [3, 3, 1])
        #expect(messages.allSatisfy { $0.body.count < EnvelopeEncoder.targetBytes + 21_000 })
    }

    @Test func nothingMakesNoMessage() {
        var encoder = EnvelopeEncoder(request: "r", origin: RequestOrigin())
        #expect(encoder.finish().isEmpty)
    }

    @Test func aSingleEventKeepsItsReceipt() throws {
        let event = sample("a", ingestID: "req:uest:41")
        let origin = RequestOrigin(address: "::", userAgent: "x")
        #expect(
            try EnvelopeDecoder().decode(EnvelopeEncoder.single(event, origin: origin)) == EventEnvelope(origin: origin, events: [event]))
    }

    @Test(arguments: [
        "", "null", "[]", "{}", #"{"v":1}"#, #"{"v":2,"events":[]}"#, #"{"v":"1","events":[]}"#, #"{"v":1,"receivedAt":"x","events":[]}"#,
        #"{"v":1,"project":5,"events":[]}"#, #"{"v":1,"userAgent":"\q","events":[]}"#, #"{"v":1,"events":{}}"#, #"{"v":1,"events":[1]}"#,
        #"{"v":1,"events":[{"n":0,"id":"a","type":"t","source":"s"}]}"#, #"{"v":1,"events":[{"n":0,"id":"a","source":"s","timestamp":1}]}"#,
        #"{"v":1,"events":[{"id":"a","type":"t","source":"s","timestamp":1}]}"#, #"{"v":1,"events":[{"n":0,"id":"a","type":"t","#,
        #"{"v":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":"1"}]}"#,
        #"{"v":1,"events":[{"n":0,"id":"a","type":"t","timestamp":1}]}"#,
    ])
    func whatIsNoChunkIsAnError(body: String) {
        #expect(throws: EnvelopeError.self) { try EnvelopeDecoder().decode(Array(body.utf8)) }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func damagedBytesNeverCrash(seed: UInt64) {
        var random = Seeded(seed)
        var body = message([sample("a", data: #"{"a":[1,"x"]}"#), sample("b")]).body
        for _ in 0..<1 + random.below(4) { body[random.below(body.count)] = UInt8(random.below(256)) }
        if random.chance(30) { body.removeLast(random.below(body.count)) }
        _ = try? EnvelopeDecoder().decode(body)
    }
}
