import TestSupport
import Testing

@testable import AnalyticsCore
@testable import analytics

struct DeadLetterListTests {
    private func page(_ error: String, eventId: String? = "a", next: String? = nil) -> DeadLetterPage {
        var page = DeadLetterPageBuilder(DeadLetterLimit(bytes: 1_000))
        page.append(
            DeadLetter(
                reason: .redelivered, error: error, attempts: 2, at: Timestamp(milliseconds: 0), project: "p", eventId: eventId,
                original: [1]
            ).message().body)
        page.append([1])
        page.append(sizeOnly: 1_001)
        return page.page(hasMore: next != nil, next: next.map(DeadLetterPosition.init))
    }

    @Test func aLineOfTextPerLetter() {
        let lines = DeadLetterList.text(page("e")).utf8.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        #expect(lines.count == 4 && lines[3] == "No more.")
        #expect(lines[0] == "1970-01-01T00:00:00.000Z too_many_deliveries: project p, events a, attempts 2, 122 bytes: e", "\(lines)")
        #expect(lines[2] == "unreadable (1001 bytes are more than the 1000 that are read at a time), 1001 bytes")
        #expect(DeadLetterList.text(page("e", next: "7")).utf8.suffix(9).elementsEqual("--after 7".utf8))
        #expect(DeadLetterList.text(DeadLetterPage()) == "No dead letters.")
    }

    @Test func nothingOfALetterSteersATerminal() {
        let text = DeadLetterList.text(page("a\u{1B}[31m\nb\u{9B}\u{202E}\u{7F}ü"))
        #expect(text.utf8.split(separator: 10).count == 4)
        #expect(!text.unicodeScalars.contains { ["\u{1B}", "\u{9B}", "\u{202E}", "\u{7F}"].contains($0) })
        #expect(text.utf8.firstRange(of: #"a\u{1B}[31m\u{A}b\u{9B}\u{202E}\u{7F}ü"#.utf8) != nil)
    }

    @Test func oneJSONDocument() {
        let json = DeadLetterList.json(page("e\u{1B}", eventId: nil, next: "7"))
        #expect(
            json.utf8.starts(
                with:
                    #"{"letters":[{"at":"1970-01-01T00:00:00.000Z","reason":"too_many_deliveries","project":"p","eventIds":[],"attempts":2,"#
                    .utf8))
        #expect(json.utf8.suffix(26).elementsEqual(#"],"hasMore":true,"next":"7"}"#.utf8.suffix(26)))
    }
}
