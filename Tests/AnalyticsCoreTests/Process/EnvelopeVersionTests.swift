import TestSupport
import Testing

@testable import AnalyticsCore

struct EnvelopeVersionTests {
    /// Whatever a newer version looks like, its `v` comes first.
    private static let newer: [String] = [EnvelopeVersion.newest + 1, 99, Int64.max].flatMap { (version: Int64) -> [String] in
        [
            #"{"v":\#(version),"project":"p","request":"r","receivedAt":5,"events":[]}"#,
            #"{"v":\#(version),"sections":[{"request":"r","events":[{"n":0,"id":"a"}]}]}"#,
            #"{"v":\#(version)}"#,
        ]
    }

    @Test(arguments: newer)
    func aNewerMessageIsADeadLetterThatSaysSoInOneLine(body: String) async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue([Array(body.utf8)] + bodies(["a"]))
        let task = rig.start(rig.processor())
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(["a"])
        let letter = try #require(rig.broker.dead.first.flatMap(DeadLetter.init(message:)))
        #expect(letter.error.hasPrefix("newer version: ") && !letter.error.contains("\n"), "\(letter.error)")
        #expect(letter.reason == .undecodable && letter.original == Array(body.utf8) && rig.broker.dead.count == 1)
    }

    @Test(arguments: ["0", "-1", "null", "\"1\"", "1.5", "9223372036854775808"])
    func aVersionThatNobodyWroteIsNone(version: String) {
        let body = #"{"v":\#(version),"receivedAt":5,"events":[{"n":1,"id":"a","type":"t","source":"s","timestamp":1}]}"#
        #expect(throws: EnvelopeError("no version")) { try EnvelopeDecoder().decode(Array(body.utf8)) }
    }

    @Test func whatIsWrittenSaysItsVersionFirst() {
        #expect(String(decoding: message([sample("a")]).body, as: UTF8.self).hasPrefix(#"{"v":\#(EnvelopeVersion.single),"#))
        let joined = String(decoding: JoinedMessage.of([message([sample("a")]), message([sample("b")])]).body, as: UTF8.self)
        #expect(joined.hasPrefix(#"{"v":\#(EnvelopeVersion.joined),"#))
    }
}
