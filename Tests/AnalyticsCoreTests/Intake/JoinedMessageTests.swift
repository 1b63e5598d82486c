import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

extension JoinedMessage {
    /// Each of them in one.
    static func of(_ messages: [OutgoingMessage]) -> OutgoingMessage {
        var joined = JoinedMessage(messages[0])
        for message in messages.dropFirst() { precondition(joined.add(message), "not to be joined") }
        return joined.message
    }
}

/// Messages of several requests in one.
struct JoinedMessageTests {
    private static let texts = ["a", "e\u{301}", "\u{301}", "\"", "\\", "]}", "],[", "😀", "\u{600}", #"{"v":2,"sections":[]}"#]

    private static func request(_ random: inout Seeded, number: Int) -> OutgoingMessage {
        func text() -> String { (0..<1 + random.below(6)).map { _ in texts[random.below(texts.count)] }.joined() }
        let origin = RequestOrigin(address: random.chance(50) ? "192.0.2.0" : nil, userAgent: random.chance(50) ? text() : nil)
        var encoder = EnvelopeEncoder(request: "r\(number)", origin: origin, reportRequested: random.chance(30))
        for index in 0..<1 + random.below(4) {
            let data = JSONText(normalised: #"{"t":"\#(String(repeating: "x", count: random.below(900)))"}"#)
            encoder.append(
                Event(
                    project: random.chance(50) ? Project.default : "other", id: "\(number)-\(index)", type: text(), source: text(),
                    timestamp: noon + .milliseconds(Int64(random.below(1 << 30))), data: data, receivedAt: noon, ingestID: ""),
                index: index)
        }
        return encoder.finish()[0]
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func eachRequestIsReadBackAsIfItHadComeAlone(seed: UInt64) throws {
        var random = Seeded(seed)
        let requests = (0..<1 + random.below(120)).map { Self.request(&random, number: $0) }
        var joined = JoinedMessage(requests[0])
        var count = 1
        for request in requests.dropFirst() {
            guard joined.add(request) else { break }
            count += 1
        }
        let message = joined.message
        let sections = try EnvelopeDecoder().sections(of: message.body)
        #expect(try sections == requests.prefix(count).map { try EnvelopeDecoder().decode($0.body) })
        #expect(message.events == sections.reduce(0) { $0 + $1.events.count })
        #expect(message.events <= EnvelopeEncoder.maximumEvents && message.body.count <= EnvelopeEncoder.targetBytes)
        let isFull =
            count == requests.count || message.events + requests[count].events > EnvelopeEncoder.maximumEvents
            || message.body.count + 1 + requests[count].body.count > EnvelopeEncoder.targetBytes
        #expect(isFull, "joins on until it is full")
    }

    @Test func oneAloneStaysAsItIs() {
        let alone = message([sample("a")])
        #expect(JoinedMessage(alone).message == alone)
    }

    @Test func whatIsNotJoinableIsNotJoined() {
        let (small, other) = (message([sample("a")]), OutgoingMessage(body: [1], events: 1))
        var joined = JoinedMessage(small)
        #expect(!joined.add(other) && joined.message == small)
        joined = JoinedMessage(other)
        #expect(!joined.add(small) && joined.message == other)
    }

    /// A request of many messages may be joined by none: its parts would be split over messages of others.
    @Test func aRequestIsJoinableUpToItsSize() {
        func request(_ events: Int, bytes: Int) -> [OutgoingMessage] {
            var encoder = EnvelopeEncoder(request: "r", origin: RequestOrigin())
            let data = "\"\(String(repeating: "x", count: bytes))\""
            for index in 0..<events { encoder.append(sample("\(index)", data: data), index: index) }
            return encoder.finish()
        }
        #expect(request(1, bytes: 10).map(\.isJoinable) == [true])
        #expect(request(1, bytes: EnvelopeEncoder.joinableBytes).map(\.isJoinable) == [false])
        #expect(request(150, bytes: 0).map(\.isJoinable) == [false, false])
    }

    /// As version 2 wrote it: it is read by every later version.
    @Test func aMessageOfVersion2IsRead() throws {
        let body = #"{"v":2,"sections":[\#(Self.section("r1", "a")),\#(Self.section("r2", "b", waits: true))]}"#
        let sections = try EnvelopeDecoder().sections(of: Array(body.utf8))
        #expect(sections.map { $0.events.map(\.ingestID) } == [["r1:0"], ["r2:0"]])
        #expect(sections.map(\.requestToReport) == [nil, "r2"] && sections.map(\.origin.userAgent) == ["curl", "curl"])
    }

    private static func section(_ request: String, _ id: String, waits: Bool = false) -> String {
        #"{"v":1,"project":"p","request":"\#(request)","receivedAt":1,"userAgent":"curl",\#(waits ? #""waits":1,"# : "")"#
            + #""events":[{"n":0,"id":"\#(id)","type":"t","source":"s","timestamp":1}]}"#
    }

    @Test(arguments: [
        (#"{"v":2}"#, "no array 'sections' behind the version"),
        (#"{"v":2,"sections":{}}"#, "no array 'sections' behind the version"),
        (#"{"v":2,"sections":[]}"#, "no sections"),
        (#"{"v":2,"sections":[],"more":1}"#, "a member follows 'sections'"),
        (#"{"v":2,"sections":[\#(section("r", "a"))]"#, "the message is not valid JSON: syntax"),
        (#"{"v":2,"sections":[\#(section("r", "a")),7]}"#, "section 1: not a JSON object"),
        (
            #"{"v":2,"sections":[{"v":2,"sections":[\#(section("r", "a"))]}]}"#,
            "section 0: a joined message where events of one request are expected"
        ),
        (
            #"{"project":"p","v":2,"request":"r","receivedAt":1,"events":[{"n":0}]}"#,
            "a joined message where events of one request are expected"
        ),
    ])
    func whatIsNoJoinedMessageIsRefused(body: String, error: String) {
        #expect(throws: EnvelopeError(error)) { try EnvelopeDecoder().sections(of: Array(body.utf8)) }
    }

    @Test func aJoinedMessageHoldsNoMoreEventsThanAnyOther() {
        func body(_ sections: Int) -> [UInt8] {
            Array(#"{"v":2,"sections":[\#((0..<sections).map { Self.section("r\($0)", "a") }.joined(separator: ","))]}"#.utf8)
        }
        #expect(throws: Never.self) { try EnvelopeDecoder().sections(of: body(EnvelopeDecoder.maximumEvents)) }
        #expect(throws: EnvelopeError("more than 1000 events")) {
            try EnvelopeDecoder().sections(of: body(EnvelopeDecoder.maximumEvents + 1))
        }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct JoinedDeliveryTests {
    @Test func eachRequestOfAJoinedDeliveryIsStoredAndReportedAndTheDeliveryAcknowledgedOnce() async throws {
        let rig = ProcessorRig()
        let joined = JoinedMessage.of([
            message([sample("a"), sample("b")], request: "r1", reportRequested: true), message([sample("c")], request: "r2"),
            message([sample("a"), sample("d")], request: "r3", reportRequested: true),
        ])
        rig.broker.enqueue([joined.body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        try await eventually("the reports, which follow the acknowledgement") { rig.faults.trace.contains(.report) }
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b", "c", "d"])
        #expect(rig.broker.acknowledged.count == 1)
        let first = DeliveryReport(project: Project.default, request: "r1", first: 0, stored: 2, duplicates: 0, refused: 0, at: noon)
        let third = DeliveryReport(project: Project.default, request: "r3", first: 0, stored: 1, duplicates: 1, refused: 0, at: noon)
        #expect(try await rig.store.reports(project: Project.default, request: "r1") == [first])
        #expect(try await rig.store.reports(project: Project.default, request: "r3") == [third])
        #expect(try await rig.store.reports(project: Project.default, request: "r2") == [])
    }

    /// The letter of an event says where it came from, which each request has for itself.
    @Test func aDeadLetterOutOfAJoinedDeliveryKeepsTheOriginOfItsRequest() async throws {
        let rig = ProcessorRig()
        rig.store.refuse(["b"])
        func request(_ id: String, _ agent: String) -> OutgoingMessage {
            var encoder = EnvelopeEncoder(request: "r-\(id)", origin: RequestOrigin(userAgent: agent))
            encoder.append(sample(id), index: 0)
            return encoder.finish()[0]
        }
        rig.broker.enqueue([JoinedMessage.of([request("a", "first"), request("b", "second")]).body])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        let original = try EnvelopeDecoder().decode(letter.original)
        #expect(original.origin.userAgent == "second" && original.events.map(\.ingestID) == ["r-b:0"] && rig.broker.dead.count == 1)
    }

    @Test func aSectionThatCannotBeReadTakesNoOtherRequestWithIt() async throws {
        let rig = ProcessorRig()
        let broken = Array(#"{"v":1,"project":"default","request":"x","receivedAt":5,"events":[{"n":0,"id":""}]}"#.utf8)
        let sections = [message([sample("a")], request: "r1").body, broken, message([sample("b")], request: "r2").body]
        rig.broker.enqueue([Array(#"{"v":2,"sections":["#.utf8) + sections.joined(separator: ",".utf8) + Array("]}".utf8)])
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.reason == .undecodable && letter.original == broken && rig.broker.dead.count == 1)
    }

    @Test func aJoinedDeliveryThatIsNeverFinishedIsCutIntoAMessageForEachEvent() async throws {
        let rig = ProcessorRig()
        let joined = JoinedMessage.of([message([sample("a"), sample("b")], request: "r1"), message([sample("c")], request: "r2")])
        rig.giveUp(on: joined.body)
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a", "b", "c"])
        #expect(rig.broker.dead.isEmpty && rig.broker.acknowledged.count == 4)
        #expect(Set(rig.store.events.map(\.event.ingestID)) == ["r1:0", "r1:1", "r2:0"])
    }
}
