import AnalyticsJSON
import Foundation
import GzipCodec
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

@Suite struct ExportTests {
    private static let path = "/api/v1/events/export"
    private static let texts = [
        "plain", "=1+1", "+x", "-x", "@x", "\tx", "\rx", "'x", "a,b", "a\"b\"", "two\nlines", "a\r\nb", "é", "e\u{301}", "😀", "\u{301}", "",
        " ", "#end",
        "\u{FEFF}x", "\u{202E}x",
    ]

    private static func event(
        _ id: String, type: String = "t", ago milliseconds: Int = 0, data: String? = "{}", userId: String? = nil
    ) -> StoredEvent {
        let time = TestService.now - .milliseconds(milliseconds)
        let event = Event(
            project: Project.default, id: id, type: type, source: "s", timestamp: time, data: data.map { JSONText(normalised: $0) },
            userId: userId, receivedAt: time, ingestID: "r:\(id)")
        return StoredEvent(event: event, processedAt: time, context: nil, fingerprint: 0)
    }

    private static func service(_ events: [StoredEvent], _ change: (inout APISettings) -> Void = { _ in }) async throws -> TestService {
        var service = TestService()
        try await service.store.process(events)
        change(&service.settings)
        return service
    }

    /// Whole lines.
    private static func lines(_ text: String) -> [String] {
        text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private static func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    /// The rows of a CSV text that ends with a line break, read as RFC 4180 has it.
    private static func rows(_ text: String) throws -> [[String]] {
        var (rows, row, cell): ([[String]], [String], [UInt8]) = ([], [], [])
        var isQuoted = false
        let bytes = Array(text.utf8)
        var index = 0
        func endCell() {
            row.append(String(decoding: cell, as: UTF8.self))
            cell = []
        }
        while index < bytes.count {
            defer { index += 1 }
            let next = index + 1 < bytes.count ? bytes[index + 1] : 0
            switch (isQuoted, bytes[index]) {
            case (true, 0x22) where next == 0x22:
                cell.append(0x22)
                index += 1
            case (true, 0x22): isQuoted = false
            case (true, let byte): cell.append(byte)
            case (false, 0x22):
                try #require(cell.isEmpty)
                isQuoted = true
            case (false, 0x2C): endCell()
            case (false, 0x0D):
                try #require(next == 0x0A)
                index += 1
                endCell()
                rows.append(row)
                row = []
            case (false, let byte):
                try #require(byte != 0x0A)
                cell.append(byte)
            }
        }
        try #require(!isQuoted && row.isEmpty && cell.isEmpty)
        return rows
    }

    /// As it was before it was kept from being a formula.
    private static func unguarded(_ cell: String) -> String { cell.utf8.first == 0x27 ? String(cell.unicodeScalars.dropFirst()) : cell }

    private static func encoded(_ text: String) -> String { text.utf8.map { String(format: "%%%02x", $0) }.joined() }

    // MARK: What is in it

    @Test func `each event is a line as a listing has it, newest first, and the last line says that it is whole`() async throws {
        let events = (0..<5_000).map { Self.event("e\($0) é", ago: $0 / 3) }
        try await Self.service(events).run { client in
            let answer = try await client.get(Self.path)
            #expect(answer.status == .ok && answer.headers[.contentType] == "application/x-ndjson")
            #expect(answer.headers[.cacheControl] == "no-store" && answer.headers[.contentEncoding] == nil)
            #expect(answer.headers[.contentDisposition] == "attachment; filename=\"events.ndjson\"")
            let lines = Self.lines(answer.text)
            #expect(lines.last == #"{"end":{"events":5000,"asOf":"2026-03-01T12:00:00.000Z"}}"#)
            var listed: [String] = []
            var cursor = ""
            repeat {
                let page = try await client.get("/api/v1/events?limit=1000\(cursor)")
                listed += try #require(page.json["events"] as? [[String: Any]]).map { try #require($0["id"] as? String) }
                cursor = (page.json["nextCursor"] as? String).map { "&cursor=\($0)" } ?? ""
            } while !cursor.isEmpty
            #expect(try lines.dropLast().map { try #require(try Self.object($0)["id"] as? String) } == listed && listed.count == 5_000)
            for index in [0, 1_999, 4_999] {
                let id = try #require(try Self.object(lines[index])["id"] as? String)
                #expect(try await client.get("/api/v1/events/\(Self.encoded(id))").text == lines[index])
            }
        }
    }

    @Test func `nothing is an export, too`() async throws {
        try await TestService().run { client in
            #expect(try await client.get(Self.path).text == #"{"end":{"events":0,"asOf":"2026-03-01T12:00:00.000Z"}}"# + "\n")
            let rows = try Self.rows(try await client.get("\(Self.path)?format=csv").text)
            #expect(rows.count == 2 && rows[0] == ExportText.columns && rows[1].prefix(3) == ["#end", "0", "2026-03-01T12:00:00.000Z"])
            #expect(rows[1].count == rows[0].count)
        }
    }

    @Test func `rows have the fixed columns, and no cell begins as a formula does`() async throws {
        let events = Self.texts.enumerated().map { index, text in
            Self.event(
                "\(text) \(index)", type: text, ago: index, data: index == 0 ? nil : index == 1 ? "-5" : "{\"a\":\"\(index),\\n\"}",
                userId: text)
        }
        try await Self.service(events).run { client in
            let answer = try await client.get("\(Self.path)?format=csv")
            #expect(answer.headers[.contentType] == "text/csv; charset=utf-8")
            let rows = try Self.rows(answer.text)
            #expect(rows.first == ExportText.columns && rows.allSatisfy { $0.count == ExportText.columns.count })
            #expect(rows.dropFirst().joined().allSatisfy { cell in !"=+-@\t\r".utf8.contains { cell.utf8.first == $0 } })
            #expect(rows.last?.prefix(2) == ["#end", "\(events.count)"])
            for (row, stored) in zip(rows.dropFirst(), events) {
                let (event, cells) = (stored.event, row.map(Self.unguarded))
                let expected = [
                    "default", event.id, event.type, "s", event.timestamp.rfc3339, "", event.userId ?? "", "", "", "", "",
                    event.receivedAt.rfc3339, stored.processedAt.rfc3339, event.data?.text ?? "", "", "",
                ]
                #expect(cells.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
            }
        }
    }

    @Test(
        arguments: zip(
            [
                nil, "", "*/*", "text/csv", "TEXT/CSV; header=absent", "application/x-ndjson, text/csv",
                "text/csv;q=0.4, application/x-ndjson;q=0.3",
                "text/csv;q=0", "application/jsonl;q=0.2, text/csv;q=0.1", "text/html, text/csv;q=0.1",
            ],
            ["ndjson", "ndjson", "ndjson", "csv", "csv", "ndjson", "csv", "ndjson", "ndjson", "csv"]))
    func `the format is that of the parameter, or of Accept`(accept: String?, expected: String) async throws {
        try await TestService().run { client in
            for (query, format) in [("", expected), ("?format=csv", "csv"), ("?format=ndjson", "ndjson")] {
                var headers = HTTPFields()
                headers[.accept] = accept
                let answer = try await client.executeRequest(uri: Self.path + query, method: .get, headers: headers, body: nil)
                #expect(answer.headers[.contentType] == (format == "csv" ? "text/csv; charset=utf-8" : "application/x-ndjson"))
            }
        }
    }

    @Test(
        arguments: [
            ("limit=3", "unknown_parameter", "limit"), ("format=parquet", "invalid_parameter", "format"),
            ("cursor=x", "invalid_parameter", "cursor"),
            ("afterId=x", "invalid_parameter", "afterTimestamp"), ("afterTimestamp=2026-01-01T00:00:00Z", "invalid_parameter", "afterId"),
            ("afterTimestamp=2026-01-01T00:00:00Z&afterId=", "invalid_parameter", "afterId"),
            ("afterTimestamp=x&afterId=x", "invalid_parameter", "afterTimestamp"),
            ("cursor=MSAxIGE&afterTimestamp=2026-01-01T00:00:00Z&afterId=x", "invalid_parameter", "cursor"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "invalid_parameter", "to"),
        ])
    func `what is wrong is said before anything is sent`(query: String, code: String, parameter: String) async throws {
        try await TestService().run { client in
            let answer = try await client.get("\(Self.path)?\(query)")
            #expect(answer.status == .badRequest && answer.isProblem && answer.code == code, "\(answer.text)")
            #expect(answer.json["parameter"] as? String == parameter)
        }
    }

    // MARK: Going on

    @Test(arguments: ["ndjson", "csv"], 0..<8 as Range<UInt64>)
    func `cut at any byte it goes on behind the last whole line, and each event comes once`(format: String, seed: UInt64) async throws {
        var random = Seeded(seed)
        let events = (0..<40).map { index in
            Self.event("\(Self.texts[random.below(Self.texts.count)])\(index)", type: "t\(index % 3)", ago: random.below(6))
        }
        let filters = "?format=\(format)&type=t0&type=t2"
        try await Self.service(events).run { [random] client in
            var random = random
            let whole = Array(try await client.get(Self.path + filters).text.utf8)
            func ends(_ text: [UInt8]) throws -> [[UInt8]] {
                // Behind each line break that ends a line.
                format == "ndjson"
                    ? Self.lines(String(decoding: text, as: UTF8.self)).map { Array($0.utf8) + [0x0A] } : try Self.records(text)
            }
            let all = try ends(whole)
            for _ in 0..<30 {
                let cut = random.below(whole.count)
                var kept = try ends(Array(whole.prefix(cut)))
                if kept.count == all.count { continue }
                let head = format == "csv" ? 1 : 0
                var place = ""
                if kept.count > head, let last = kept.last {
                    let (timestamp, id): (String, String)
                    if format == "csv" {
                        let cells = try Self.rows(String(decoding: last, as: UTF8.self))[0]
                        (timestamp, id) = (cells[4], Self.unguarded(cells[1]))
                    } else {
                        (timestamp, id) = try Self.place(last)
                    }
                    place = "&afterTimestamp=\(Self.encoded(timestamp))&afterId=\(Self.encoded(id))"
                } else {
                    kept = []
                }
                let rest = try ends(Array(try await client.get(Self.path + filters + place).text.utf8))
                #expect((kept + rest).dropLast() == all.dropLast(), "cut at \(cut)")
                #expect((kept + rest).count == all.count)
            }
        }
    }

    /// Foundation drops a U+FEFF that begins a string.
    private static func place(_ line: [UInt8]) throws -> (timestamp: String, id: String) {
        var parser = JSONParser()
        let text = PaddedBytes(line)
        return try parser.withMembers(of: text, at: text.all, maximumDepth: 64) { members in
            (members.with("timestamp") { $0.string } ?? "", members.with("id") { $0.string } ?? "")
        }
    }

    /// The rows of a CSV text, as far as they are whole.
    private static func records(_ text: [UInt8]) throws -> [[UInt8]] {
        var (records, record, isQuoted): ([[UInt8]], [UInt8], Bool) = ([], [], false)
        for byte in text {
            record.append(byte)
            if byte == 0x22 { isQuoted.toggle() }
            if byte == 0x0A, !isQuoted {
                records.append(record)
                record = []
            }
        }
        return records
    }

    @Test func `a listing's cursor is a place in an export, too`() async throws {
        try await Self.service((0..<9).map { Self.event("e\($0)", ago: $0) }).run { client in
            let cursor = try #require(try await client.get("/api/v1/events?limit=4").json["nextCursor"] as? String)
            let lines = Self.lines(try await client.get("\(Self.path)?cursor=\(cursor)").text)
            #expect(try lines.dropLast().map { try Self.object($0)["id"] as? String } == (4..<9).map { "e\($0)" })
            #expect(lines.last?.contains(#""events":5,"#) == true)
        }
    }

    // MARK: Compressed

    @Test func `compressed it is the same, and what has come of a stream that is cut can be read`() async throws {
        let events = (0..<30).map { Self.event("e\($0)", ago: $0, data: "\"\(String(repeating: "x\($0)", count: 50_000))\"") }
        try await Self.service(events).run { client in
            let plain = Array(try await client.get(Self.path).body.readableBytesView)
            let answer = try await client.executeRequest(uri: Self.path, method: .get, headers: [.acceptEncoding: "gzip"], body: nil)
            #expect(answer.headers[.contentEncoding] == "gzip")
            let compressed = Array(answer.body.readableBytesView)
            #expect(compressed.count * 20 < plain.count && plain.count > 2 << 20)
            #expect(try Gzip.decompress(compressed) == plain)
            for cut in stride(from: 0, through: compressed.count, by: 997) {
                let inflater = try GzipInflater()
                var text: [UInt8] = []
                try compressed.prefix(cut).withUnsafeBytes { bytes in try inflater.write(bytes) { text.append(contentsOf: $0) } }
                #expect(plain.starts(with: text))
            }
        }
    }

    @Test func `what was flushed can be read at once, and the end is the end of the stream`() throws {
        let (deflater, inflater) = (try GzipDeflater(), try GzipInflater())
        var random = Seeded(1)
        for round in 0..<50 {
            let bytes = (0..<random.below(200_000)).map { _ in UInt8(random.below(round.isMultiple(of: 2) ? 256 : 3)) }
            var text: [UInt8] = []
            let deflated = try deflater.write(bytes, flushes: true)
            try deflated.withUnsafeBytes { bytes in try inflater.write(bytes) { text.append(contentsOf: $0) } }
            #expect(text == bytes)
        }
        #expect(throws: GzipError.truncated) { try inflater.finish() }
        try deflater.finish().withUnsafeBytes { try inflater.write($0) { _ in } }
        try inflater.finish()
    }

    // MARK: Bounds

    private static func large(_ count: Int) -> [StoredEvent] {
        (0..<count).map { event("e\($0)", ago: $0, data: "\"\(String(repeating: "x", count: 200_000))\"") }
    }

    @Test func `it is read from the store as the client takes it, and a client that takes nothing is cut and leaves its place`()
        async throws
    {
        let service = try await Self.service(Self.large(100)) {
            $0.maximumExports = 1
            $0.timeouts = ConnectionTimeouts.Limits(headers: .milliseconds(400), answer: .seconds(1))
        }
        let begun = Mutex(0)
        service.store.beforeRead { operation async throws(StoreError) in if operation == "events" { begun.withLock { $0 += 1 } } }
        try await service.run(.live) { client in
            let stuck = try UnreadConnection(port: client.port!)
            try await stuck.send("GET \(Self.path) HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually("it has begun") { begun.withLock { $0 } > 0 }
            let refused = try await client.get(Self.path)
            #expect(refused.status == .serviceUnavailable && refused.isProblem && refused.code == "overloaded")
            #expect(refused.headers[.retryAfter] == "1")
            // Questions have places of their own.
            #expect(try await client.get("/api/v1/events?limit=1").status == .ok)
            try await eventually("the client is cut") {
                try await client.executeRequest(uri: Self.path, method: .head, headers: [:], body: nil).status == .ok
            }
            withExtendedLifetime(stuck) {}
            // 17 slices: what the kernel and the connection hold of it are some.
            #expect(begun.withLock { $0 } < 17)
        }
    }

    @Test func `an export that nothing comes of gives its place back`() async throws {
        let service = try await Self.service(Self.large(3)) { $0.maximumExports = 1 }
        try await service.run(.live) { client in
            for _ in 0..<5 {
                let head = try await client.executeRequest(uri: Self.path, method: .head, headers: [:], body: nil)
                #expect(head.status == .ok && head.body.readableBytes == 0)
                #expect(try await client.get("\(Self.path)?x=1").status == .badRequest)
                try await eventually("the place is back") { try await client.get(Self.path).status == .ok }
            }
            service.store.faults.down([.read])
            for _ in 0..<3 {
                let failed = try await client.get(Self.path)
                #expect(failed.status == .serviceUnavailable && failed.code == "store_unavailable")
            }
        }
    }

    @Test func `an export holds room for answers`() async throws {
        let service = try await Self.service([]) { $0.maximumAnswerBytesInMemory = EventExport.sliceBytes }
        try await service.run { client in
            let refused = try await client.get(Self.path)
            #expect(refused.status == .serviceUnavailable && refused.code == "too_many_answers")
        }
    }

    // MARK: Ending early

    /// What is sent of an export until its connection ends.
    private static func cut(_ service: TestService, _ query: String = "") async throws -> String {
        let text = Mutex("")
        try await service.run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange(["GET \(Self.path)\(query) HTTP/1.1\r\nHost: x\r\n\r\n"])
            #expect(answer.isClosed)
            text.withLock { $0 = answer.text }
        }
        return text.withLock { $0 }
    }

    @Test(arguments: ["ndjson", "csv"])
    func `what ends it in the middle is told with the place to go on from, and HTTP does not end it as whole`(format: String) async throws {
        let service = try await Self.service(Self.large(20))
        let slices = Mutex(0)
        service.store.beforeRead { operation async throws(StoreError) in
            guard operation == "events" else { return }
            let number = slices.withLock { number in
                number += 1
                return number
            }
            if number == 3 { throw StoreError(.misconfigured, operation: operation, "damaged") }
        }
        let text = try await Self.cut(service, "?format=\(format)")
        #expect(text.contains("Transfer-Encoding: chunked") || text.contains("transfer-encoding: chunked"))
        #expect(!text.hasSuffix("0\r\n\r\n") && !text.contains("#end") && !text.contains(#"{"end""#))
        let pattern =
            format == "csv"
            ? #/#error,store_unavailable,"?[^,]+"?,12,([A-Za-z0-9_-]+),/#
            : #/\{"error":\{"code":"store_unavailable","detail":"[^"]+","events":12,"cursor":"([A-Za-z0-9_-]+)"\}\}/#
        let cursor = try #require(text.firstMatch(of: pattern), "\(text.suffix(600))").1
        try await service.run { client in
            let rest = try await client.get("\(Self.path)?cursor=\(cursor)").text
            #expect(try Self.lines(rest).dropLast().map { try Self.object($0)["id"] as? String } == (12..<20).map { "e\($0)" })
        }
    }

    @Test func `a graceful shutdown ends an export at the next slice, with the place to go on from`() async throws {
        let service = try await Self.service(Self.large(20))
        let (ports, portSink) = AsyncStream<Int>.makeStream()
        var settings = service.settings
        settings.port = 0
        let application = makeApplication(services: service.services, settings: settings, logger: TestService.quiet) { portSink.yield($0) }
        let group = ServiceGroup(configuration: .init(services: [application], logger: TestService.quiet))
        let slices = Mutex(0)
        service.store.beforeRead { operation async throws(StoreError) in
            guard operation == "events",
                slices.withLock({ number in
                    number += 1
                    return number == 2
                })
            else { return }
            await group.triggerGracefulShutdown()
            // It comes to the export's task a moment later.
            try? await gracefulShutdown()
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            let answer = try await RawConnection(port: port).exchange(["GET \(Self.path) HTTP/1.1\r\nHost: x\r\n\r\n"])
            #expect(answer.text.contains(#"{"error":{"code":"overloaded""#) && answer.text.contains(#""events":12,"cursor":""#))
            #expect(slices.withLock { $0 } == 2)
            try await tasks.waitForAll()
        }
    }
}
