import TestSupport
import Testing

@testable import AnalyticsCore

struct DeadLetterCodecTests {
    private static let texts = ["a", "", "\"\\\u{1}\n", "\u{301}", "e\u{301}é", "\u{600}x\u{200D}", "🇦", "}{", "\u{0}"]

    private func letter(_ random: inout Seeded) -> DeadLetter {
        let reason = DeadLetterReason.allCases[random.below(DeadLetterReason.allCases.count)]
        let text = { (random: inout Seeded) in (0..<random.below(5)).map { _ in Self.texts[random.below(Self.texts.count)] }.joined() }
        let event = sample(
            "id\(random.below(9))", at: Timestamp(milliseconds: Int64(random.below(1 << 40))), data: #"{"a":[1,"\"}"],"b":{"c":null}}"#,
            ingestID: "r:\(random.below(1_000))")
        let original =
            reason.keepsMessage
            ? EnvelopeEncoder.single(event, origin: RequestOrigin(userAgent: text(&random)))
            : (0..<random.below(60)).map { _ in UInt8(random.below(256)) }
        return DeadLetter(
            reason: reason, error: text(&random), attempts: 1 + random.below(1_000_001),
            at: Timestamp(milliseconds: Timestamp.latest.milliseconds - Int64(random.below(1 << 45))),
            project: random.chance(50) ? "p-1" : nil, eventId: random.chance(50) ? "\u{301}id" : nil, original: original)
    }

    @Test(arguments: 0..<500 as Range<UInt64>)
    func whatIsWrittenIsReadBack(seed: UInt64) throws {
        var random = Seeded(seed)
        let letter = letter(&random)
        let body = letter.message().body
        let back = try DeadLetterDecoder().decode(body)
        #expect(back == letter && back.message().body == body, "seed \(seed)")
    }

    private static let whole =
        #"{"v":1,"reason":"undecodable","error":"e","attempts":1,"at":5,"originalBase64":"AA=="}"#

    @Test func theLetterThatTheOtherTestsChangeIsRead() throws {
        let letter = try DeadLetterDecoder().decode(Array(Self.whole.utf8))
        #expect(letter.original == [0] && letter.at.milliseconds == 5 && letter.project == nil)
    }

    @Test(arguments: [
        (#""v":1"#, #""v":2"#), (#""v":1,"#, ""), (#""v":1"#, #""v":"1""#), ("undecodable", "unknown"), (#""undecodable""#, "1"),
        (#""error":"e","#, ""), (#""error":"e""#, #""error":null"#), (#""attempts":1"#, #""attempts":0"#),
        (#""attempts":1"#, #""attempts":-9223372036854775808"#), (#""attempts":1"#, #""attempts":9223372036854775807"#),
        (#""attempts":1"#, #""attempts":1.0"#), (#""at":5"#, #""at":9223372036854775807"#), (#""at":5"#, #""at":-62135596800001"#),
        (#""at":5"#, #""at":"5""#), (#""at":5"#, #""at":5,"at":5"#), (#""at":5"#, #""at":5,"project":"""#),
        (#""at":5"#, #""at":5,"eventId":7"#), (#""at":5"#, #""at":5,"eventId":"a\u0001""#), (#""at":5"#, #""at":5,"other":1"#),
        ("AA==", "AA"), ("AA==", "*"), (#""AA==""#, "{}"), (#","originalBase64":"AA==""#, ""), ("originalBase64", "original"),
        (#""originalBase64""#, #""original":{},"originalBase64""#), ("undecodable", "conflicting_id"), ("}", "}x"), ("}", ""), ("{", "["),
    ])
    func whatIsNotWrittenSoIsRefused(part: String, other: String) throws {
        let at = try #require(Self.whole.firstRange(of: part))
        let text = Self.whole.replacingCharacters(at, with: other)
        #expect(throws: DeadLetterError.self, "\(text)") { try DeadLetterDecoder().decode(Array(text.utf8)) }
    }

    @Test func aNewerLetterIsToldInOneLine() {
        #expect(throws: DeadLetterError("version 2 is not known here")) {
            try DeadLetterDecoder().decode(Array(#"{"v":2,"letters":[]}"#.utf8))
        }
    }
}

extension String {
    fileprivate func replacingCharacters(_ range: Range<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + self[range.upperBound...]
    }
}
