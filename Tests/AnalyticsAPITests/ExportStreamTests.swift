import AnalyticsJSON
import GzipCodec
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// An export while it is under way.
@Suite struct ExportStreamTests {
    /// What has come of a body in chunks.
    private static func body(_ answer: [UInt8]) -> [UInt8] {
        guard let head = answer.firstRange(of: Array("\r\n\r\n".utf8)) else { return [] }
        var (rest, body) = (answer[head.upperBound...], [UInt8]())
        while let line = rest.firstRange(of: Array("\r\n".utf8)),
            let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16), size > 0
        {
            body += rest[line.upperBound...].prefix(size)
            rest = rest[line.upperBound...].dropFirst(size + 2)
        }
        return body
    }

    private static func lines(_ compressed: [UInt8]) throws -> Int {
        let inflater = try GzipInflater()
        var lines = 0
        try compressed.withUnsafeBytes { bytes in try inflater.write(bytes) { lines += $0.count { $0 == UInt8(ascii: "\n") } } }
        return lines
    }

    @Test func `compressed, what was read can be read by the client before more is`() async throws {
        let service = TestService()
        try await service.store.process(
            (0..<20).map { index in
                let time = TestService.now - .milliseconds(index)
                let event = Event(
                    project: Project.default, id: "e\(index)", type: "t", source: "s", timestamp: time,
                    data: JSONText(normalised: "\"\(String(repeating: "x", count: 200_000))\""), receivedAt: time, ingestID: "r:\(index)")
                return StoredEvent(event: event, processedAt: time, context: nil, fingerprint: 0)
            })
        let slices = Counting()
        let (held, release) = AsyncStream<Void>.makeStream()
        service.store.beforeRead { operation async throws(StoreError) in
            if operation == "events", slices.next() == 3 { for await _ in held {} }
        }
        try await service.run(.live) { client in
            let connection = try UnreadConnection(port: client.port!)
            try await connection.send("GET /api/v1/events/export HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
            var answer: [UInt8] = []
            try await eventually("two slices are there") {
                answer += connection.bytes(65_536) ?? []
                return try Self.lines(Self.body(answer)) == 12
            }
            release.finish()
            try await eventually("the rest is there") {
                answer += connection.bytes(65_536) ?? []
                return try Self.lines(Self.body(answer)) == 21
            }
        }
    }
}
