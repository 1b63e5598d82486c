import AnalyticsJSON
import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

/// Messages and dead letters as earlier versions wrote them. Tests/Fixtures/make-queue-fixtures.py makes them.
struct EnvelopeFixtureTests {
    /// A folder per version; a version that changes the envelope adds its own.
    private static let versions: [URL] = {
        let all = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures")
        let versions = (try? FileManager.default.contentsOfDirectory(at: all, includingPropertiesForKeys: nil)) ?? []
        return versions.map { $0.appending(path: "queue") }.filter { FileManager.default.fileExists(atPath: $0.path) }
    }()

    @Test func thereAreFixturesOfTheFirstVersion() {
        #expect(Self.versions.contains { $0.path.hasSuffix("/v1/queue") })
    }

    @Test(arguments: versions)
    func everyMessageIsReadWhole(version: URL) throws {
        var events: [String: Event] = [:]
        for file in try Self.files(version.appending(path: "messages")) {
            let envelope = try EnvelopeDecoder().decode(Array(try Data(contentsOf: file)))
            #expect(envelope.origin.userAgent == #"Mozilla/5.0 (X11; Linux x86_64) "quoted" \ back"#, "\(file.lastPathComponent)")
            #expect((envelope.requestToReport != nil) == (file.lastPathComponent == "awaited.json"), "\(file.lastPathComponent)")
            for event in envelope.events { #expect(events.updateValue(event, forKey: event.id) == nil, "\(event.id) is there twice") }
        }
        let expected = try #require(try Self.json(version.appending(path: "expected.json")) as? [[String: Any]])
        #expect(events.count == expected.count)
        for fields in expected {
            let event = try #require(events[fields["id"] as? String ?? ""])
            #expect(Array(event.type.utf8) == (fields["type"] as? String).map { Array($0.utf8) })
            #expect(event.source == fields["source"] as? String)
            #expect(event.timestamp.milliseconds == fields["timestamp"] as? Int64)
            #expect(event.correlationId == fields["correlationId"] as? String)
            #expect(event.userId == fields["userId"] as? String && event.sessionId == fields["sessionId"] as? String)
            #expect(event.anonymousId == fields["anonymousId"] as? String)
            for (text, value) in [(event.data, fields["data"]), (event.metadata, fields["metadata"])] {
                let found = try text.map { try JSONSerialization.jsonObject(with: Data($0.text.utf8), options: .fragmentsAllowed) }
                #expect(found as? NSObject == value as? NSObject, "\(event.id)")
            }
        }
        #expect(Set(events.values.map(\.ingestID)).count == events.count)
    }

    @Test(arguments: versions)
    func everyDeadLetterCanBePublishedAgain(version: URL) throws {
        var reasons: [DeadLetterReason] = []
        for file in try Self.files(version.appending(path: "dead")) {
            let letter = try DeadLetterDecoder().decode(Array(try Data(contentsOf: file)))
            reasons.append(letter.reason)
            switch letter.reason {
            case .conflict, .refused:
                #expect(letter.event?.id == letter.eventId && letter.project == Project.default)
            default:
                #expect(String(decoding: letter.original.prefix(16), as: UTF8.self) == #"{"v":1,"events":"#)
            }
        }
        #expect(Set(reasons) == [.conflict, .refused, .redelivered, .undecodable] && reasons.count == 4)
    }

    private static func files(_ folder: URL) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    }

    private static func json(_ file: URL) throws -> Any { try JSONSerialization.jsonObject(with: Data(contentsOf: file)) }
}
