import AnalyticsCore
import Foundation
import GzipCodec
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsImport

/// Has events in the order of an export, and answers as the service does; breaks off after so many bytes.
private final class FakeExports: ExportTransport {
    struct State {
        /// Lines and rows by their ids, in order.
        var events: [(timestamp: String, id: String)] = []
        /// Of each answer that is to come; the last one stands for all others.
        var cuts: [Int?] = [nil]
        /// How many bytes come at a time.
        var chunk = 7
        var requests: [[String: String]] = []
        var refusals: [any Error] = []
        /// What an answer ends with in the place of its end.
        var ending: String?
    }

    let state = Mutex(State())
    let format: ExportFormat

    init(_ format: ExportFormat, events: Int) {
        self.format = format
        state.withLock {
            $0.events = (0..<events).map { ("2026-03-01T12:00:0\(9 - $0 * 10 / events).000Z", "e\($0)\($0 % 3 == 0 ? "\"\n,é" : "")") }
        }
    }

    static func line(_ event: (timestamp: String, id: String), _ format: ExportFormat) -> String {
        if format == .csv { return "default,\"\(event.id.replacing("\"", with: "\"\""))\",t,s,\(event.timestamp),,\r\n" }
        let id = String(decoding: try! JSONEncoder().encode(event.id), as: UTF8.self)
        return #"{"project":"default","id":\#(id),"type":"t","timestamp":"\#(event.timestamp)"}"# + "\n"
    }

    static func header(_ format: ExportFormat) -> String { format == .csv ? "project,id,type,source,timestamp,userId,data\r\n" : "" }

    /// What a file has at the end.
    var whole: String { Self.header(format) + state.withLock { $0.events }.map { Self.line($0, format) }.joined() }

    func get(_ parameters: [(name: String, value: String)], _ receive: ([UInt8]) async throws -> Void) async throws {
        let named = Dictionary(parameters.map { ($0.name, $0.value) }) { first, _ in first }
        let (text, cut, chunk) = try state.withLock { state in
            state.requests.append(named)
            if !state.refusals.isEmpty { throw state.refusals.removeFirst() }
            let cut = state.cuts.count > 1 ? state.cuts.removeFirst() : state.cuts[0]
            var start = 0
            if let id = named["afterId"] {
                start = try #require(state.events.firstIndex { $0.id == id && $0.timestamp == named["afterTimestamp"] }) + 1
            } else if let cursor = named["cursor"] {
                start = try #require(Int(cursor))
            }
            let rest = state.events[start...]
            var text = named["afterId"] == nil && named["cursor"] == nil ? Self.header(format) : ""
            for (index, event) in rest.enumerated() {
                if index % 4 == 2 {
                    text += format == .csv ? "#progress,\(start + index),,,,,\r\n" : #"{"progress":{"cursor":"\#(start + index)"}}"# + "\n"
                }
                text += Self.line(event, format)
            }
            text +=
                state.ending
                ?? (format == .csv ? "#end,\(rest.count),now,,,,\r\n" : #"{"end":{"events":\#(rest.count),"asOf":"now"}}"# + "\n")
            return (Array(text.utf8), cut, state.chunk)
        }
        let sent = text.prefix(cut ?? text.count)
        for start in stride(from: 0, to: sent.count, by: chunk) { try await receive(Array(sent[start..<min(start + chunk, sent.count)])) }
        if cut != nil { throw ExportRefusal(description: "broken") }
    }
}

/// A file in memory, whose process may be killed at any of its writes.
private final class FakeFile: ExportFile {
    struct State {
        var bytes: [UInt8] = []
        var state: Data?
        var isFinished = false
        var writesLeft = Int.max
    }

    struct Killed: Error {}

    let contents = Mutex(State())
    let stateName = "f.export"

    func state() async throws -> Data? { contents.withLock { $0.state } }

    func begin(keeping bytes: Int) async throws {
        try contents.withLock { contents in
            try #require(contents.bytes.count >= bytes)
            contents.bytes.removeLast(contents.bytes.count - bytes)
        }
    }

    /// Dies before, between and after its two steps.
    func append(_ bytes: [UInt8], state: Data) async throws {
        try contents.withLock { contents in
            func step() throws {
                guard contents.writesLeft > 0 else { throw Killed() }
                contents.writesLeft -= 1
            }
            try step()
            contents.bytes += bytes
            try step()
            contents.state = state
            try step()
        }
    }

    func finish() async throws {
        contents.withLock { contents in
            contents.isFinished = true
            contents.state = nil
        }
    }
}

@Suite struct FileExportTests {
    private func run(
        _ exports: FakeExports, _ file: FakeFile, filters: [(name: String, value: String)] = [("type", "t")], compresses: Bool = false,
        restarts: Bool = false, piece: Int = 100, url: String = "http://user:secret@s"
    ) async throws -> FileExport.Tally {
        try await FileExport(
            FileExport.Options(url: url, filters: filters, format: exports.format, compresses: compresses, restarts: restarts),
            transport: exports,
            file: file, line: { _ in }, pieceBytes: piece, attempts: 3, pause: { _ in }
        ).run()
    }

    private func text(_ file: FakeFile, compresses: Bool = false) throws -> String {
        let bytes = file.contents.withLock { $0.bytes }
        return String(decoding: compresses && !bytes.isEmpty ? try Gzip.decompress(bytes) : bytes, as: UTF8.self)
    }

    @Test(arguments: ExportFormat.allCases, [false, true])
    func `cut at each byte of an answer, the file is the same`(format: ExportFormat, compresses: Bool) async throws {
        let whole = FakeExports(format, events: 11).whole
        for cut in 0..<(whole.utf8.count + 150) {
            let (exports, file) = (FakeExports(format, events: 11), FakeFile())
            exports.state.withLock { state in
                state.cuts = [cut, cut / 3, nil]
                state.chunk = 1 + cut % 50
            }
            let tally = try await run(exports, file, compresses: compresses, piece: 1 + cut)
            #expect(try text(file, compresses: compresses) == whole, "cut at \(cut)")
            #expect(tally.events == 11 && tally.before == 0 && tally.asOf == "now")
            #expect(file.contents.withLock { $0.isFinished && $0.state == nil })
        }
    }

    @Test(arguments: ExportFormat.allCases, [false, true])
    func `killed at each write and started again, the file is the same`(format: ExportFormat, compresses: Bool) async throws {
        var runs = 0
        for writes in 0..<200 {
            let (exports, file) = (FakeExports(format, events: 11), FakeFile())
            file.contents.withLock { $0.writesLeft = writes }
            exports.state.withLock { $0.cuts = [170, nil] }
            do {
                _ = try await run(exports, file, compresses: compresses)
                runs += 1
            } catch {
                #expect(!file.contents.withLock { $0.isFinished })
            }
            guard !file.contents.withLock({ $0.isFinished }) else { continue }
            file.contents.withLock { $0.writesLeft = .max }
            let tally = try await run(exports, file, compresses: compresses)
            #expect(try text(file, compresses: compresses) == exports.whole, "after \(writes) writes")
            #expect(tally.events == 11)
        }
        #expect(runs > 0 && runs < 200)
    }

    @Test func `a place is that of the last line, or of what the service says where it finds nothing`() async throws {
        let (exports, file) = (FakeExports(.ndjson, events: 6), FakeFile())
        let lines = exports.state.withLock { $0.events.prefix(2).map { FakeExports.line($0, .ndjson).utf8.count } }
        let progress = #"{"progress":{"cursor":"2"}}"#.utf8.count + 1
        let behindTwo = lines[0] + lines[1]
        for (cut, expected) in [
            (lines[0] - 1, [:]), (lines[0], ["afterId": "e0\"\n,é", "afterTimestamp": "2026-03-01T12:00:09.000Z"]),
            (behindTwo + 3, ["afterId": "e1", "afterTimestamp": "2026-03-01T12:00:08.000Z"]), (behindTwo + progress + 4, ["cursor": "2"]),
        ] {
            exports.state.withLock { state in
                state.cuts = [cut, nil]
                state.requests = []
            }
            _ = try await run(exports, file, restarts: true)
            let requests = exports.state.withLock { $0.requests }
            #expect(
                requests == [["type": "t", "format": "ndjson"], ["type": "t", "format": "ndjson"].merging(expected) { $1 }], "\(cut)")
        }
    }

    @Test func `a service that brings nothing for long, or an error, ends it; what was brought stays`() async throws {
        let (exports, file) = (FakeExports(.csv, events: 30), FakeFile())
        exports.state.withLock { $0.cuts = [400, 0] }
        let failure = await #expect(throws: ExportFailure.self) { try await run(exports, file) }
        #expect(failure?.description == "the service does not continue: broken")
        #expect(exports.state.withLock { $0.requests.count } == 3)
        exports.state.withLock { $0.cuts = [nil] }
        let tally = try await run(exports, file)
        #expect(try text(file) == exports.whole)
        #expect(tally.events == 30 && tally.before > 3)

        for (ending, told) in [
            (#"{"error":{"code":"overloaded","detail":"Stopping."}}"# + "\n", "the service does not continue: overloaded: Stopping."),
            (#"{"end":{"events":29,"asOf":"now"}}"# + "\n", "the service has sent 29 events, and 30 came: start again with --restart"),
            (#"{"end":{"what":1}}"# + "\n", #"the service sends a line that this version does not know: {"end":{"what":1}}"# + "\n"),
            (#"{"end":{"events":30,"asOf":"now"}}"# + "\n{}\n", "the service sends data after the end of an export"),
            (#"{"end":{"events":30,"asOf":"now"}}"# + "\nunfinished", "the service sends data after the end of an export"),
        ] {
            let exports = FakeExports(.ndjson, events: 30)
            exports.state.withLock { $0.ending = ending }
            let failure = await #expect(throws: ExportFailure.self) { try await run(exports, FakeFile()) }
            #expect(failure?.description == told)
        }
    }

    @Test func `what the service refuses ends it at once, and what passes is asked again`() async throws {
        let exports = FakeExports(.ndjson, events: 3)
        exports.state.withLock { $0.refusals = [ExportRefusal(description: "503"), ExportRefusal(description: "503")] }
        #expect(try await run(exports, FakeFile()).events == 3)
        exports.state.withLock { $0.refusals = [ExportFailure("the service answers 400: no")] }
        await #expect(throws: ExportFailure("the service answers 400: no")) { try await run(exports, FakeFile()) }
    }

    @Test func `the state of another export is not gone on from`() async throws {
        let (exports, file) = (FakeExports(.ndjson, events: 30), FakeFile())
        exports.state.withLock { $0.cuts = [400, 0] }
        await #expect(throws: ExportFailure.self) { try await run(exports, file) }
        exports.state.withLock { $0.cuts = [nil] }
        for (filters, compresses, url) in [
            ([("type", "u")], false, "http://s"), ([("type", "t")], true, "http://s"), ([("type", "t")], false, "http://other"),
        ] as [([(name: String, value: String)], Bool, String)] {
            let failure = await #expect(throws: ExportFailure.self) {
                try await run(exports, file, filters: filters, compresses: compresses, url: url)
            }
            #expect(failure?.description.contains("--restart") == true && failure?.description.contains("secret") == false)
        }
        _ = try await run(exports, file, filters: [("type", "u")], restarts: true)
        #expect(try text(file) == exports.whole)
        for damaged in ["", "x", #"{"version":2}"#, #"{"version":1}"#] {
            file.contents.withLock { $0.state = Data(damaged.utf8) }
            await #expect(throws: ExportFailure.self) { try await run(exports, file) }
        }
        // All that this version knows is there.
        var later = ExportState(request: "http://s type=t ndjson")
        later.version = 2
        file.contents.withLock { $0.state = try? later.encoded() }
        let failure = await #expect(throws: ExportFailure.self) { try await run(exports, file) }
        #expect(failure?.description.contains("by a newer version") == true)
    }

    @Test func `a line that does not end is not held`() throws {
        var records = ExportRecords(.ndjson, isResumed: false)
        let mebibyte = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        for _ in 0..<RecordCutter.maximumBytes >> 20 { try records.cut(mebibyte) { _ in } }
        #expect(throws: ExportFailure("the service sends a line of more than 16 MiB, which is not an event")) {
            try records.cut([UInt8(ascii: "x")]) { _ in }
        }
    }

    @Test func `an id that looks like a formula is that of the event`() throws {
        for (cell, id) in [("'=1", "=1"), ("\"'=1\"", "=1"), ("''x", "'x"), ("x'", "x'"), ("\"'\"\"\"", "\"")] {
            let place = try ExportRecords.place(behind: Array("default,\(cell),t,s,2026,\r\n".utf8), .csv)
            #expect(place == .event(timestamp: "2026", id: id))
        }
        for id in ["\u{FEFF}x", "e\u{301}", "é", "a\"b"] {
            let place = try ExportRecords.place(behind: Array(FakeExports.line(("2026", id), .ndjson).utf8), .ndjson)
            guard case .event("2026", let found) = place else {
                Issue.record("\(place)")
                continue
            }
            #expect(Array(found.utf8) == Array(id.utf8))
        }
    }
}
