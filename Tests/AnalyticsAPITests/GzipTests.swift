import GzipCodec
import Testing

@Suite struct GzipTests {
    @Test(arguments: [0, 1, 1_000, 65_536, 65_537, 1_000_000])
    func `what is compressed decompresses to itself, in pieces of any size`(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
        let compressed = try Gzip.compress(bytes)
        #expect(try Gzip.decompress(compressed) == bytes)
        for size in [1, 7, 4096] where count < 100_000 || size > 1 {
            let inflater = try GzipInflater()
            var output: [UInt8] = []
            for start in stride(from: 0, to: compressed.count, by: size) {
                try compressed[start..<min(start + size, compressed.count)].withUnsafeBytes { try inflater.write($0) { output += $0 } }
            }
            try inflater.finish()
            #expect(output == bytes)
        }
    }

    @Test func `several members are one text`() throws {
        let parts = try Gzip.compress(Array("one ".utf8)) + Gzip.compress(Array("two".utf8))
        #expect(String(decoding: try Gzip.decompress(parts), as: UTF8.self) == "one two")
    }

    @Test func `a stream that ends too soon is truncated, one that is changed is corrupt`() throws {
        let whole = try Gzip.compress(Array(String(repeating: "events ", count: 1000).utf8))
        for count in 0..<whole.count {
            #expect(throws: GzipError.truncated) { try Gzip.decompress(Array(whole.prefix(count))) }
        }
        var changed = whole
        changed[whole.count - 5] ^= 1
        #expect(throws: GzipError.corrupt) { try Gzip.decompress(changed) }
        #expect(throws: GzipError.corrupt) { try Gzip.decompress(whole + [0, 0]) }
    }

    @Test func `the receiver can stop a bomb`() throws {
        struct Enough: Error {}
        let bomb = try Gzip.compress([UInt8](repeating: 0, count: 10 << 20), level: 9)
        var received = 0
        #expect(throws: Enough.self) {
            try bomb.withUnsafeBytes { bytes in
                try GzipInflater().write(bytes) { piece in
                    received += piece.count
                    if received > 1 << 20 { throw Enough() }
                }
            }
        }
        #expect(received <= 1 << 20 + 64 << 10)
    }
}
