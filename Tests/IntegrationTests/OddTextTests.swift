import Foundation
import Testing

/// Text whose characters join with what stands beside it, or that Swift takes for equal to other text.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct OddTextTests {
    /// The first of two that are canonically equal, and the second.
    private static let texts = [
        "\u{301}begins", "ends\u{600}", "\u{600}", "\u{301}", "e\u{301}", "\u{E9}", "\u{212A}", "K", "\u{200D}joins\u{200D}", "\u{1F1E6}",
        "\u{FEFF}mark", "\u{1100}\u{1161}", "\u{AC00}", "\u{1F469}\u{200D}\u{1F4BB}", "\u{37E}", "semi;colon",
        "quote\"\u{301}", "back\\\u{301}", "#\u{FE0F}\u{20E3}",
    ]

    @Test("Every text comes back as it was sent, on every way, and is counted as itself", arguments: PipelineTests.Kind.available)
    func wholeWay(_ kind: PipelineTests.Kind) async throws {
        let service = try await ServiceProcess.serve(try await kind.backends())
        defer { service.terminate() }
        for (index, text) in Self.texts.enumerated() {
            let fields = ["id", "type", "source", "userId", "anonymousId", "sessionId", "correlationId"].map {
                #""\#($0)":\#(Self.json(text))"#
            }
            let data = #""data":{\#(Self.json(text)):\#(Self.json(text))}"#
            let answer = try await service.post(
                "/api/v1/events?wait=stored&timeout=20",
                "{\(fields.joined(separator: ",")),\(data),\"timestamp\":\(1_772_366_400_000 + index)}",
                headers: [("user-agent", text), ("idempotency-key", "k\(index)")])
            #expect(answer.status == 200, "\(text.unicodeScalars.map { String($0.value, radix: 16) }): \(answer.text)")
        }
        try await expectListed(service)
        try await expectFound(service)
        let counts = try await service.get("/api/v1/events/counts")
        #expect(counts.json["total"] as? Int == Self.texts.count)
        #expect(try await service.get("/metrics").text.contains("analytics_events_dead_lettered_total{reason=\"undecodable\"} 0"))
    }

    /// Page by page, so that each is the last of one.
    private func expectListed(_ service: ServiceProcess) async throws {
        var listed: [String] = []
        var cursor: String?
        repeat {
            let page = try await service.get("/api/v1/events?limit=1" + (cursor.map { "&cursor=\($0)" } ?? ""))
            #expect(page.status == 200, "\(page.text)")
            listed += Self.texts.filter { page.body.contains("\"id\":\(Self.json($0))") }
            cursor = page.json["nextCursor"] as? String
        } while cursor != nil && listed.count <= Self.texts.count
        #expect(listed.reversed().map { Array($0.utf8) } == Self.texts.map { Array($0.utf8) })
    }

    private func expectFound(_ service: ServiceProcess) async throws {
        for text in Self.texts {
            let encoded = text.utf8.map { "%" + String($0, radix: 16).leftPadded }.joined()
            let event = try await service.get("/api/v1/events/" + encoded)
            for field in ["id", "type", "source", "userId", "anonymousId", "sessionId", "correlationId"] {
                #expect(event.body.contains("\"\(field)\":\(Self.json(text))"), "\(field): \(event.text)")
            }
            for filter in ["type", "source", "userId", "anonymousId", "correlationId"] {
                let page = try await service.get("/api/v1/events?\(filter)=\(encoded)")
                #expect((page.json["events"] as? [Any])?.count == 1, "\(filter): \(page.text)")
            }
            for filter in ["type", "source"] {
                #expect(try await service.total("?\(filter)=\(encoded)") == 1)
            }
        }
    }

    private static func json(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : String(scalar)
        }
        return "\"" + escaped.joined() + "\""
    }
}

extension Data {
    /// By bytes: Foundation's JSON parser drops a byte order mark, and text is compared by canonical equivalence.
    fileprivate func contains(_ text: String) -> Bool { range(of: Data(text.utf8)) != nil }
}

extension String {
    fileprivate var leftPadded: String { count < 2 ? "0" + self : self }
}
