import TestSupport
import Testing

@testable import AnalyticsCore

struct DeadLetterPageTests {
    @Test func aPageEndsAtItsNumberAndBeforeTheLetterThatHasNoRoom() {
        var page = DeadLetterPageBuilder(DeadLetterLimit(letters: 3, bytes: 10))
        #expect(page.room(for: 10) == .body && page.room(for: 11) == .sizeOnly)
        page.append([1, 2, 3])
        #expect(page.room(for: 7) == .body && page.room(for: 8) == .none)
        page.append(sizeOnly: 11)
        page.append([])
        #expect(page.room(for: 0) == .none && page.room(for: 11) == .none)
        #expect(page.page(hasMore: false, next: DeadLetterPosition(text: "1")).next == nil)
    }

    @Test(arguments: [(0, 0, 1, 1), (-5, .min, 1, 1), (.max, .max, 500, 64 << 20), (7, 8, 7, 8)])
    func limitsAreBoundedThemselves(letters: Int, bytes: Int, boundedLetters: Int, boundedBytes: Int) {
        let limit = DeadLetterLimit(letters: letters, bytes: bytes)
        #expect(limit.letters == boundedLetters && limit.bytes == boundedBytes)
    }

    private func summary(_ letter: DeadLetter) throws -> DeadLetterSummary {
        var page = DeadLetterPageBuilder(DeadLetterLimit())
        page.append(letter.message().body)
        return DeadLetterSummary(try #require(page.page(hasMore: false).letters.first))
    }

    private func letter(_ reason: DeadLetterReason, _ original: [UInt8]) -> DeadLetter {
        DeadLetter(
            reason: reason, error: "e", attempts: 2, at: Timestamp(milliseconds: 5), project: nil, eventId: nil, original: original)
    }

    private let message = EnvelopeEncoder.single(
        sample("id1", at: Timestamp(milliseconds: 5), data: #"{"secret":1}"#, ingestID: "req:3"),
        origin: RequestOrigin(address: "203.0.113.9", userAgent: "Mozilla/5.0"))

    @Test func aSummaryNamesRequestAndEventAndNothingOfWhoSentIt() throws {
        let summary = try summary(letter(.refused, message))
        #expect(summary.request == "req" && summary.eventIds == ["id1"] && summary.reason == .refused)
        let text = "\(summary)"
        for secret in ["203.0.113.9", "Mozilla", "secret"] { #expect(!text.containsText(secret)) }
    }

    @Test func whatWasGivenUpWholeIsNotParsed() throws {
        let summary = try summary(letter(.redelivered, message))
        #expect(summary.request == nil && summary.eventIds.isEmpty && summary.attempts == 2)
    }

    @Test func aLetterThatCannotBeReadHasItsSizeAndWhy() {
        let letter = QueuedDeadLetter(body: [1], size: 1, content: .failure(DeadLetterError("no version")))
        let summary = DeadLetterSummary(letter)
        #expect(summary.unreadable == "no version" && summary.size == 1 && summary.reason == nil)
    }
}

extension String {
    fileprivate func containsText(_ other: String) -> Bool { utf8.firstRange(of: other.utf8) != nil }
}
