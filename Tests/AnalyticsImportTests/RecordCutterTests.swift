import TestSupport
import Testing

@testable import AnalyticsImport

@Suite struct RecordCutterTests {
    /// Each record as `line: content`.
    static func records(_ text: String, _ format: ImportFormat, chunk: Int = 1 << 18) throws -> [String] {
        try cut(Array(text.utf8), format, chunk: chunk).filter { !$0.isBlank }.map {
            "\($0.line): \(String(decoding: $0.bytes, as: UTF8.self))"
        }
    }

    static func cut(_ bytes: [UInt8], _ format: ImportFormat, chunk: Int) throws -> [Record] {
        var cutter = RecordCutter(format)
        var records: [Record] = []
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            try cutter.cut(Array(bytes[start..<min(start + chunk, bytes.count)])) { records.append($0) }
        }
        if let last = cutter.finish() { records.append(last) }
        return records
    }

    @Test("Lines end with LF or CRLF; empty ones count, but are no records; a byte order mark belongs to none")
    func lines() throws {
        let text = "\u{FEFF}\r\n{\"a\":1}\r\n\n \t\r\n{\"b\":\"\u{FEFF}\"}\n\n\n{\"c\":1}\r"
        #expect(try Self.records(text, .lines) == ["2: {\"a\":1}", "5: {\"b\":\"\u{FEFF}\"}", "8: {\"c\":1}"])
        #expect(try Self.records("\u{FEFF}{}\n{}", .lines) == ["1: {}", "2: {}"])
    }

    @Test("A row may span lines inside quotes; it has the number of its first")
    func rows() throws {
        let text = "a,b\r\n1,\"x\ny \"\"z\"\"\"\r\n\r\n\"\",\n \n2,\"\"\"\n\""
        #expect(
            try Self.records(text, .csv(separator: UInt8(ascii: ",")))
                == ["1: a,b", "2: 1,\"x\ny \"\"z\"\"\"", "5: \"\",", "6:  ", "7: 2,\"\"\"\n\""])
    }

    @Test("A row that ends inside quotes is no record: the rest may still be written")
    func unclosed() throws {
        var cutter = RecordCutter(.csv(separator: UInt8(ascii: ",")))
        var records = 0
        try cutter.cut(Array("a\n1\n2,\"x\ny".utf8)) { _ in records += 1 }
        #expect(cutter.finish() == nil && cutter.unclosedLine == 3 && records == 2)
    }

    @Test("A record beyond the limit ends the import, before it takes more memory", arguments: [ImportFormat.lines, .csv(separator: 44)])
    func tooLong(_ format: ImportFormat) throws {
        var cutter = RecordCutter(format)
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        try cutter.cut([0x0A]) { _ in }
        for _ in 0..<16 { try cutter.cut(chunk) { _ in } }
        #expect(throws: ImportFailure("line 2 has more than 16 MiB: no service accepts such an event")) { try cutter.cut(chunk) { _ in } }
    }

    @Test("Whatever comes in, in whatever chunks: the same records, and their bytes together are the input")
    func anyChunks() throws {
        var random = Seeded(11)
        let pieces = ["a", "{", "\"", "\"\"", ",", "\n", "\r\n", "\r", " ", "\u{FEFF}", "é", "\u{0301}", "\0"].map { Array($0.utf8) }
        for _ in 0..<2_000 {
            let bytes = (0..<random.below(40)).flatMap { _ in pieces[random.below(pieces.count)] }
            for format in [ImportFormat.lines, .csv(separator: UInt8(ascii: ","))] {
                let whole = try Self.cut(bytes, format, chunk: bytes.count + 1)
                #expect(try Self.cut(bytes, format, chunk: 1 + random.below(5)) == whole)
                let raw = whole.flatMap(\.raw)
                // What is left out at the end is a blank line or an open row.
                #expect(bytes.starts(with: raw))
                #expect(bytes.dropFirst(raw.count).allSatisfy { [0x20, 0x0D, 0xEF, 0xBB, 0xBF].contains($0) } || format != .lines)
                for (index, record) in whole.enumerated() {
                    #expect(record.line == 1 + whole[..<index].flatMap(\.raw).count { $0 == 0x0A })
                    #expect(record.raw.last == 0x0A || index == whole.count - 1)
                }
            }
        }
    }

    @Test("Cells are read as RFC 4180 says, with the separator that is given")
    func cells() {
        func cells(_ text: String, _ separator: Unicode.Scalar = ",") -> [String] {
            CSVState.cells(of: Array(text.utf8), separator: UInt8(ascii: separator))
        }
        #expect(cells("a,\"b,c\",\"d\"\"e\"\"\",,\"x\ny\"") == ["a", "b,c", "d\"e\"", "", "x\ny"])
        #expect(cells("a\tb,c", "\t") == ["a", "b,c"])
        #expect(cells("") == [""] && cells(",") == ["", ""] && cells("a\"b") == ["a\"b"])
    }
}
