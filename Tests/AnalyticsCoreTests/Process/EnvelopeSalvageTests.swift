import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct EnvelopeSalvageTests {
    private static let texts = ["a", "e\u{301}", "\u{301}", "\"", "\\", "]}", "{\"timestamp\":1}", "😀", "\u{600}", ","]

    private static func text(_ random: inout Seeded) -> String {
        (0..<1 + random.below(4)).map { _ in texts[random.below(texts.count)] }.joined()
    }

    private static func envelope(_ random: inout Seeded) -> (body: [UInt8], events: [Event], origin: RequestOrigin) {
        let project: ProjectID = random.chance(50) ? Project.default : "other_\(random.below(100))"
        let origin = RequestOrigin(
            address: random.chance(50) ? "192.0.2.0" : nil, userAgent: random.chance(70) ? text(&random) + "\u{0}\r\n" : nil)
        var encoder = EnvelopeEncoder(request: "r\(random.below(10))", origin: origin, reportRequested: random.chance(50))
        let events = (0..<1 + random.below(20)).map { index in
            let time = noon + .milliseconds(Int64(random.below(1 << 30)) - 1 << 29)
            let data = [
                "null", "{}", #"{"timestamp":5,"a":["]}",{"b":"\"}"}]}"#, "[[[1]]]", #"" , ""#,
            ][random.below(5)]
            return Event(
                project: project, id: text(&random), type: text(&random), source: text(&random), timestamp: time,
                data: JSONText(normalised: data), userId: random.chance(50) ? text(&random) : nil,
                anonymousId: random.chance(50) ? text(&random) : nil, receivedAt: noon, ingestID: "r:\(index)")
        }
        for (index, event) in events.enumerated() { encoder.append(event, index: index) }
        return (encoder.finish()[0].body, events, origin)
    }

    /// Several of these in one message, or one.
    private static func joined(_ random: inout Seeded) -> [UInt8] {
        let sections = (0..<1 + random.below(4)).map { _ in envelope(&random).body }
        return sections.count == 1
            ? sections[0] : Array(#"{"v":2,"sections":["#.utf8) + sections.joined(separator: [0x2C]) + Array("]}".utf8)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func everyEventOfAnEnvelopeIsFoundWithItsMinuteAndCutIntoAMessageOfItsOwn(seed: UInt64) throws {
        var random = Seeded(seed)
        let (body, _, origin) = Self.envelope(&random)
        let decoded = try EnvelopeDecoder().decode(body)
        let salvage = EnvelopeSalvage(body)
        #expect(Set(salvage.buckets) == Set(decoded.events.map { BucketKey(project: $0.project, index: $0.timestamp.minute) }))
        #expect(salvage.messages.count == decoded.events.count)
        for (message, event) in zip(salvage.messages, decoded.events) {
            let alone = try EnvelopeDecoder().decode(message.body)
            #expect(alone.events == [event] && alone.origin == origin && alone.requestToReport == decoded.requestToReport)
        }
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func everySectionOfAJoinedMessageIsCutAsIfItHadComeAlone(seed: UInt64) throws {
        var random = Seeded(seed)
        let body = Self.joined(&random)
        let decoded = try EnvelopeDecoder().sections(of: body)
        let salvage = EnvelopeSalvage(body)
        #expect(try salvage.sections.map { try EnvelopeDecoder().decode($0.message.body) } == decoded)
        #expect(salvage.sections.map(\.message.events) == decoded.map(\.events.count))
        #expect(salvage.sections.map(\.project) == decoded.map(\.events.first?.project))
        #expect(salvage.sections.map(\.receivedAt) == decoded.map(\.events.first?.receivedAt))
        #expect(try salvage.messages.map { try EnvelopeDecoder().decode($0.body).events } == decoded.flatMap(\.events).map { [$0] })
    }

    /// Whatever the parser can read, the salvage finds: else stored events could stay unmarked.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func whateverABrokenEnvelopeStillDecodesToIsFoundAndNothingTraps(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<250 {
            var body = Self.joined(&random)
            for _ in 0..<1 + random.below(6) where !body.isEmpty {
                let at = random.below(body.count)
                switch random.below(5) {
                case 0: body[at] = UInt8(random.below(256))
                case 1: body.removeSubrange(at..<min(body.count, at + random.below(40)))
                case 2: body.insert(contentsOf: body[at..<min(body.count, at + random.below(60))], at: random.below(body.count))
                case 3: body.removeLast(body.count - at)
                default: body.insert(contentsOf: [",", "{", "\"", "\\", "]", " ", "9", "-"][random.below(8)].utf8, at: at)
                }
            }
            let salvage = EnvelopeSalvage(body)
            guard let decoded = try? EnvelopeDecoder().sections(of: body) else { continue }
            let minutes = Set(decoded.flatMap(\.events).map { BucketKey(project: $0.project, index: $0.timestamp.minute) })
            #expect(minutes.isSubset(of: salvage.buckets), "seed \(seed): \(String(decoding: body, as: UTF8.self))")
        }
    }

    @Test(arguments: [
        "", "{", "[]", "{}", "garbage", #"{"events":"#, #"{"events":["#, #"{"events":[{"#, #"{"events":[,,,]}"#, #"{"v":1,"events":{}}"#,
        "\u{0}",
    ])
    func ofWhatIsNoEnvelopeNothingIsFound(body: String) {
        let salvage = EnvelopeSalvage(Array(body.utf8))
        #expect(salvage.buckets.isEmpty && salvage.messages.isEmpty)
    }

    @Test func aBrokenEventHidesNoOtherAndABrokenHeaderMemberHidesNoProject() {
        let body = #"{"v":9,"userAgent":nonsense,"project":"p","events":[{"timestamp":60000},{"timestamp":tru},{"timestamp":120000}]}"#
        let salvage = EnvelopeSalvage(Array(body.utf8))
        #expect(Set(salvage.buckets) == [BucketKey(project: "p", index: 1), BucketKey(project: "p", index: 2)])
        #expect(salvage.messages.count == 3)
    }

    @Test func underAProjectThatNoEventCanHaveNothingIsMarked() {
        for project in [#""""#, #""a\u0000b""#, "\"\(String(repeating: "p", count: 129))\""] {
            let salvage = EnvelopeSalvage(Array("{\"project\":\(project),\"events\":[{\"timestamp\":1}]}".utf8))
            #expect(salvage.buckets.isEmpty && salvage.messages.count == 1)
        }
    }

    @Test func timesOutsideOfTheYears1To9999AreNoMinutes() {
        let times = [Int64.min, Timestamp.earliest.milliseconds - 1, Timestamp.latest.milliseconds + 1, Int64.max]
        let events = times.map { "{\"timestamp\":\($0)}" }.joined(separator: ",")
        #expect(EnvelopeSalvage(Array("{\"events\":[\(events)]}".utf8)).sections.map(\.minutes) == [[]])
    }
}
