import AnalyticsCore
import Foundation
import Synchronization
import Testing

@testable import AnalyticsImport

@Suite struct ResumeTests {
    @Test("An import that ended in the middle goes on there; each run says what came of itself")
    func resumes() async throws {
        let rig = ImportRig(events(0..<100))
        rig.service.with { $0.postsLeft = 5 }
        #expect(await rig.failure { try await $0.run(batchSize: 10, inFlight: 1) } == "killed")
        #expect(rig.savedState?.events == 50)
        rig.service.with { $0.postsLeft = .max }
        #expect(try await rig.run(batchSize: 33) == ImportTally(accepted: 50))
        #expect(rig.said == ["Continuing after line 50: 50 events were sent before"])
        #expect(try await rig.run(batchSize: 9) == ImportTally())
        #expect(rig.said.last == "Nothing was added since then; --restart sends it all again")
        #expect(rig.service.sent.count == 100 && rig.service.stored.count == 100)
    }

    @Test("Rejected lines are settled: the next run does not send them again")
    func rejections() async throws {
        let rig = ImportRig("[]\n" + events(0..<5) + "[]")
        #expect(try await rig.run() == ImportTally(accepted: 5, rejected: 2))
        rig.append("\n[]\n")
        #expect(try await rig.run() == ImportTally(rejected: 1))
        #expect(rig.said.last == "line 8: invalid_json: no event")
    }

    @Test("What was added is sent, whether or not the last line had its line break", arguments: ["\n", "\r\n"], ["\n", "\r\n", ""])
    func grows(_ lineBreak: String, _ last: String) async throws {
        var text = events(0..<10, lineBreak: lineBreak)
        text.removeLast()
        let rig = ImportRig(text + last)
        #expect(try await rig.run() == ImportTally(accepted: 10))
        rig.append((last.isEmpty ? lineBreak : "") + "\n" + events(10..<15, lineBreak: lineBreak))
        #expect(try await rig.run() == ImportTally(accepted: 5))
        #expect(try await rig.run(restarts: true) == ImportTally(duplicates: 15))
    }

    @Test("A line break alone adds nothing", arguments: ["\n", "\r\n", "\r"])
    func lineBreakAlone(_ lineBreak: String) async throws {
        let rig = ImportRig(String(events(0..<2).dropLast()))
        try await rig.run()
        rig.append(lineBreak)
        #expect(try await rig.run() == ImportTally())
        rig.append((lineBreak == "\r" ? "\n" : "") + events(2..<3))
        #expect(try await rig.run() == ImportTally(accepted: 1))
    }

    @Test(
        "A last line that was sent without its line break, and is longer now, is told; nothing is sent",
        arguments: [" ", "x", ",", "\rx\n"])
    func extended(_ more: String) async throws {
        for lines in [1, 4] {
            let rig = ImportRig(String(events(0..<lines).dropLast()))
            try await rig.run()
            rig.append(more + events(4..<6))
            let failure = await rig.failure { try await $0.run() }
            #expect(failure.hasPrefix("line \(lines) was sent when the file ended within it, and is longer now. --restart"), "\(failure)")
            #expect(rig.service.sent.count == lines)
        }
    }

    @Test("A file that is not what was sent is told in one line that says what to do; nothing is sent")
    func changed() async throws {
        let text = events(0..<20)
        let changes: [(String, String)] = [
            (text.replacing("\"data\":1", with: "\"data\":7", maxReplacements: 1), "f has changed: its first 700 bytes"),
            (String(text.dropLast(35)), "f has changed"), ("", "f is not the file that was sent"),
            ("\n" + text, "f has changed"), (text.replacing("\n", with: "\r\n"), "f has changed"),
            (events(1..<30), "f is not the file that was sent"), (text + "{}", "no failure"),
        ]
        for (other, message) in changes {
            let rig = ImportRig(text)
            try await rig.run()
            rig.set(other)
            let failure = await rig.failure { try await $0.run() }
            #expect(failure.hasPrefix(message), "\(failure)")
            #expect(message == "no failure" || failure.contains("--restart") && !failure.contains("\n"))
            #expect(rig.service.sent.count == (message == "no failure" ? 21 : 20))
        }
    }

    @Test("A change before a last line that had no line break is seen, whatever has come behind it", arguments: ["", "\n", "\n{}\n", "x"])
    func changedBeforeOpenLine(_ more: String) async throws {
        let rig = ImportRig(String(events(0..<9).dropLast()))
        try await rig.run()
        rig.set(events(0..<4) + events(5..<6) + events(5..<9).dropLast() + more)
        let failure = await rig.failure { try await $0.run() }
        #expect(failure.hasPrefix("f has changed"), "\(failure)")
        #expect(rig.service.sent.count == 9)
    }

    @Test("A table whose column names have changed is another one")
    func changedHeader() async throws {
        let csv = ImportFormat.csv(separator: UInt8(ascii: ","))
        let rig = ImportRig("a,b\n1,2\n")
        try await rig.run(csv, mappings: ["type={a}", "source=s"])
        for other in ["a,c\n1,2\n3,4\n", "a,b,c\n1,2\n3,4\n"] {
            rig.set(other)
            let failure = await rig.failure { try await $0.run(csv, mappings: ["type={a}", "source=s"]) }
            #expect(failure.hasPrefix("f is not the file that was sent"), "\(failure)")
        }
        #expect(rig.service.sent.count == 1)
    }

    @Test("A state of another mapping or name is refused; another service gets everything")
    func otherImport() async throws {
        let csv = ImportFormat.csv(separator: UInt8(ascii: ","))
        let rig = ImportRig("a,b\n1,2\n")
        func run(_ format: ImportFormat, name: String = "n", url: String = "http://u:secret@s:1", b: String = "{b}") async -> String {
            await rig.failure { try await $0.run(format, name: name, url: url, mappings: ["type={a}", "source=\(b)"]) }
        }
        #expect(await run(csv) == "no failure")
        for failure in [
            await run(csv, b: "x"), await run(.csv(separator: UInt8(ascii: ";"))), await run(.lines),
            await run(csv, name: "N"),
        ] {
            #expect(failure.hasPrefix("f.import is the state of an import ") && failure.contains("--restart"), "\(failure)")
            #expect(!failure.contains("\n"))
        }
        #expect(await run(csv, url: "http://v@s:1") == "no failure")
        #expect(rig.service.sent.count == 1)
        #expect(await run(csv, url: "http://t") == "no failure")
        #expect(rig.said == ["f.import is the state of an import to http://s:1: everything is sent to http://t"])
        #expect(rig.service.sent.count == 2 && rig.savedState?.identity.url == "http://t")
    }

    @Test(
        "A state of an older or a newer version, and what is none, is refused in one line; --restart writes over it",
        arguments: [
            (
                #"{"identity":"f|123|,||NA","settled":2000,"tally":{"accepted":2000,"duplicates":0,"rejected":0},"ahead":{}}"#,
                "older version"
            ),
            (#"{"version":3,"something":"else"}"#, "newer version"), (#"{"version":2}"#, "not the state of an import"),
            ("{}", "not the state of an import"), ("when,who\n1,2\n", "not the state of an import"),
            (#"{"version":2,"digest":"","#, "not the state of an import"),
        ])
    func otherVersions(_ state: String, _ reason: String) async throws {
        let rig = ImportRig(events(0..<5))
        rig.state.withLock { $0 = Data(state.utf8) }
        let failure = await rig.failure { try await $0.run() }
        #expect(failure.hasPrefix("f.import ") && failure.contains(reason) && !failure.contains("\n"), "\(failure)")
        #expect(rig.service.sent.isEmpty && rig.state.withLock { $0 } == Data(state.utf8))
        #expect(try await rig.run(restarts: true) == ImportTally(accepted: 5))
        #expect(rig.savedState?.version == 2)
    }

    @Test("A state that cannot be written ends the import before anything is sent")
    func unwritable() async throws {
        let rig = ImportRig(events(0..<5))
        rig.writesLeft.withLock { $0 = 0 }
        #expect(await rig.failure { try await $0.run() } == "f.import cannot be written, give another file with --state: killed")
        #expect(rig.service.sent.isEmpty)
    }

    @Test("The state does not pass over a batch that is not settled, whatever was settled behind it")
    func outOfOrder() async throws {
        let rig = ImportRig(events(0..<9))
        let first = IDGenerator.derived(importName: "n", line: 1, bytes: Array(events(0..<1).utf8.dropLast()))
        let transport = FirstWaits(behind: rig.service, first: first, others: 2)
        #expect(await rig.failure { try await $0.run(name: "n", batchSize: 3, transport: transport) } == "killed")
        #expect(rig.service.stored.count == 6)
        #expect((rig.savedState?.events, rig.savedState?.offset) == (0, 0))
        #expect(try await rig.run(name: "n") == ImportTally(accepted: 3, duplicates: 6))
    }

    @Test("The ledger stands before the first batch that is open")
    func ledger() {
        func batch(_ offset: Int) -> Batch {
            var position = Position()
            position.advance(over: [UInt8](repeating: 0, count: offset)[...])
            return Batch(end: position)
        }
        var ledger = ImportLedger(at: Position())
        let numbers = [1, 2, 3, 4].map { ledger.begin(batch($0)) }
        for (number, offset) in [(1, 0), (3, 0), (0, 2), (2, 4)] {
            ledger.settle(numbers[number])
            #expect(ledger.settled.offset == offset)
        }
        ledger.settle(ledger.begin(batch(9)))
        #expect(ledger.settled.offset == 9)
    }
}

/// The request that holds the first event is not answered before the others are, and then fails.
private actor FirstWaits: ImportTransport {
    private let service: FakeService
    private let first: String
    private var others: Int
    private var waiting: CheckedContinuation<Void, Never>?

    init(behind service: FakeService, first: String, others: Int) {
        self.service = service
        self.first = first
        self.others = others
    }

    func post(_ events: [[UInt8]]) async throws -> ImportResponse {
        guard !String(decoding: events[0], as: UTF8.self).contains(first) else {
            if others > 0 { await withCheckedContinuation { waiting = $0 } }
            throw ImportFailure("killed")
        }
        let answer = try await service.post(events)
        others -= 1
        if others == 0 { waiting?.resume() }
        return answer
    }
}
