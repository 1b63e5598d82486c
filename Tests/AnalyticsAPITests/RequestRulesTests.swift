import AnalyticsAPI
import AnalyticsCore
import HTTPTypes
import HummingbirdTesting
import Testing

@testable import AnalyticsAPI

/// Requests that proxies and servers read in different ways, as bytes.
struct RequestRulesTests {
    private static let post = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    private static let ask = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

    private static func chunk(_ text: String, _ more: String = "") -> String {
        String(text.utf8.count, radix: 16) + more + "\r\n\(text)\r\n"
    }

    private static let refused: [String] =
        ["", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n", "Host: x, y\r\n", "Host: x y\r\n", "Host: a/b\r\n"].map {
            "GET /health/live HTTP/1.1\r\n\($0)\r\n"
        }
        + ["gzip, chunked", "chunked, chunked", "identity", "chunked\r\nTransfer-Encoding: chunked", "xchunked"].map {
            post + "Transfer-Encoding: \($0)\r\n\r\n" + chunk(Sample.event("a")) + "0\r\n\r\n"
        }
        + [
            "GET /health/live HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
            "POST /api/v1/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(Sample.event("a")) + "0\r\n\r\n",
        ]

    @Test(arguments: refused) func `what can be read in two ways is answered 400 and the connection closed`(request: String) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let connection = RawConnection(port: client.port!)
            let answer = try await connection.exchange([request + Self.ask])
            #expect(answer.status == 400 && answer.text.contains("malformed_request") && answer.isClosed, "\(answer.text)")
            #expect(!answer.text.contains("200 OK"), "nothing behind it is read")
            // The first of a pipeline is answered all the same.
            let second = try await connection.exchange([Self.ask, request], pause: .milliseconds(50))
            #expect(second.text.contains("200 OK") && second.text.contains("400 Bad Request") && second.isClosed, "\(second.text)")
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test(arguments: ["x", "X:80", "localhost:4000", "[::1]:4000", "127.0.0.1", "a-b_c.example.com."])
    func `one Host is read`(host: String) async throws {
        try await TestService().run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange(
                ["GET /health/live HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"])
            #expect(answer.status == 200)
        }
    }

    @Test(arguments: [("Idempotency-Key: a", "Idempotency-Key"), ("idempotency-key: b", "Idempotency-Key")])
    func `a key that stands twice is answered 400`(line: String, name: String) async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let event = Sample.event("a")
            let head = Self.post + "Idempotency-Key: a\r\n\(line)\r\nConnection: close\r\nContent-Length: \(event.utf8.count)\r\n\r\n"
            let answer = try await RawConnection(port: client.port!).exchange([head + event])
            #expect(answer.status == 400 && answer.text.contains("invalid_header"), "\(answer.text)")
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test(arguments: ["/api/v1/events", "/api/v1/events/batch"])
    func `an attribute of a CloudEvent that stands twice is answered 400`(path: String) async throws {
        let service = TestService()
        try await service.run { client in
            var headers: HTTPFields = [.contentType: "application/json"]
            for (name, value) in [("specversion", "1.0"), ("id", "a"), ("type", "t"), ("source", "s"), ("ID", "b")] {
                headers.append(HTTPField(name: HTTPField.Name("ce-\(name)")!, value: value))
            }
            let answer = try await client.post(path, "{}", headers)
            #expect(answer.status == .badRequest && answer.code == "invalid_header" && answer.isProblem, "\(answer.text)")
            #expect((answer.json["header"] as? String)?.lowercased() == "ce-id")
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test(arguments: [
        "HTTP/1.0\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n", "HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n",
        "HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n",
    ])
    func `a connection ends after the answer where the request says so, and with HTTP 1.0`(rest: String) async throws {
        try await TestService().run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange(["GET /health/live \(rest)\r\n", Self.ask])
            #expect(answer.status == 200 && answer.text.ranges(of: "200 OK").count == 1)
            #expect(answer.isClosed && answer.duration < .seconds(30))
        }
    }

    @Test func `HTTP 1.0 gets no chunks, and is not told to go on`() async throws {
        let service = TestService()
        try await service.run(.live) { client in
            let connection = RawConnection(port: client.port!)
            let export = try await connection.exchange(["GET /api/v1/events/export HTTP/1.0\r\n\r\n"])
            #expect(export.text.starts(with: "HTTP/1.0 200 OK") && export.isClosed)
            #expect(!export.text.lowercased().contains("transfer-encoding") && export.text.hasSuffix("}\n"), "\(export.text)")
            let chunked = try await connection.exchange(["GET /api/v1/events/export HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"])
            #expect(chunked.text.lowercased().contains("transfer-encoding: chunked"))
            let event = Sample.event("a")
            let head = "POST /api/v1/events HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
            let sent = try await connection.exchange([head + "Content-Length: \(event.utf8.count)\r\n\r\n" + event])
            #expect(sent.status == 202 && sent.isClosed)
        }
        #expect(try service.publisher.events.map(\.id) == ["a"])
    }

    // MARK: Chunks

    @Test func `extensions of chunks have a limit`() async throws {
        let service = TestService()
        let head = Self.post + "Transfer-Encoding: chunked\r\n\r\n"
        let event = Sample.event("a")
        let large = Self.chunk(event, ";" + String(repeating: "x", count: 100_000))
        let many = event.map { Self.chunk(String($0), ";" + String(repeating: "x", count: 500)) }
        try await service.run(.live) { client in
            for parts in [[head, large], [head] + many] {
                let answer = try await RawConnection(port: client.port!).exchange(parts + ["0\r\n\r\n"], pause: .milliseconds(2))
                #expect(answer.status == 400 && answer.isClosed, "\(answer.text)")
            }
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `a body in chunks of one byte, with short extensions, is read`() async throws {
        let service = TestService()
        let events = (0..<300).map { Sample.event("e\($0)") }.joined(separator: "\n")
        let head =
            "POST /api/v1/events/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        let body = events.map { Self.chunk(String($0), ";a=bc") }.joined()
        try await service.run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange([head, body, "0\r\n\r\n"], until: "rejected")
            #expect(answer.status == 202, "\(answer.text)")
        }
        #expect(try service.publisher.events.count == 300)
    }
}
