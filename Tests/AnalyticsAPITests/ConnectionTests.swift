import AnalyticsCore
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

@testable import AnalyticsAPI

/// What only a real connection shows.
@Suite struct ConnectionTests {
    /// One that is patient with a busy machine.
    private func service(_ change: (inout APISettings) -> Void = { _ in }) -> TestService {
        var service = TestService()
        service.settings.timeouts = ConnectionTimeouts.Limits(
            headers: .seconds(30), body: .seconds(30), bodyBytesPerSecond: 100_000, keepAlive: .seconds(30), answer: .seconds(30),
            rest: .milliseconds(400))
        change(&service.settings)
        return service
    }

    /// The same, if it waited for half a second.
    private func impatient(as patient: TestService? = nil) -> TestService {
        var service = patient ?? service()
        service.settings.timeouts.headers = .milliseconds(400)
        service.settings.timeouts.body = .milliseconds(400)
        service.settings.timeouts.keepAlive = .milliseconds(800)
        return service
    }

    private static let head = "POST /api/v1/events/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
    private static let ask = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

    private static func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }

    // MARK: Too much

    @Test func `a chunked body over the limit is answered 413 and the connection closed`() async throws {
        let service = service { $0.maximumBodyBytes = 100_000 }
        try await service.run(.live) { client in
            let chunk = Self.chunk(String(repeating: "x", count: 10_000))
            let endless = [Self.head + "Transfer-Encoding: chunked\r\n\r\n"] + Array(repeating: chunk, count: 12)
            let answer = try await RawConnection(port: client.port!).exchange(endless)
            #expect(answer.status == 413 && answer.isClosed)
            #expect(answer.text.contains("body_too_large"))
            #expect(try await client.get("/health/live").status == .ok)
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `a body that declares itself too large is refused before it comes`() async throws {
        try await service { $0.maximumBodyBytes = 1000 }.run(.live) { client in
            for more in ["", "Expect: 100-continue\r\n"] {
                let answer = try await RawConnection(port: client.port!).exchange([Self.head + more + "Content-Length: 1001\r\n\r\n"])
                #expect(answer.status == 413 && answer.isClosed)
            }
        }
    }

    @Test func `a client that expects 100 gets it`() async throws {
        try await service().run(.live) { client in
            let event = Sample.event("a")
            let connection = RawConnection(port: client.port!)
            let head = Self.head + "Expect: 100-continue\r\nContent-Length: \(event.utf8.count)\r\n\r\n"
            #expect(try await connection.exchange([head], until: "\r\n\r\n").status == 100)
            let answer = try await connection.exchange([head, event], pause: .milliseconds(50), until: "rejected")
            #expect(answer.text.contains("202 Accepted"))
        }
    }

    @Test(arguments: [
        ("POST", "/nothing", "", 404), ("PUT", "/api/v1/events", "", 405), ("POST", "/api/v1/events", "Content-Encoding: br\r\n", 415),
        ("POST", "/api/v1/events", "Content-Type: text/csv\r\n", 415), ("POST", "/api/v1/events?x=1", "", 400),
        ("POST", "/api/v1/analytics/funnels", "Content-Length: 10000000\r\n", 413),
        ("POST", "/api/v1/events", "Content-Length: 400\r\n", 503),
    ])
    func `what is refused is not asked for`(method: String, path: String, more: String, status: Int) async throws {
        try await service { $0.maximumBodyBytesInMemory = 300 }.run(.live) { client in
            let length = more.contains("Length") ? "" : "Content-Length: 200\r\n"
            let head = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\(length)\(more)\r\n"
            let answer = try await RawConnection(port: client.port!).exchange([head])
            #expect(answer.status == status && answer.isClosed && answer.text.contains("Connection: close"), "\(answer.text)")
        }
    }

    @Test func `a body that nobody asked for may come and be read, and the next request too`() async throws {
        try await service().run(.live) { client in
            let event = Sample.event("a")
            let post = Self.head + "Expect: 100-continue\r\nContent-Length: \(event.utf8.count)\r\n\r\n" + event
            let answer = try await RawConnection(port: client.port!).exchange([post + Self.ask], until: "live\"")
            #expect(answer.text.contains("202 Accepted") && !answer.text.contains("onnection: close"), "\(answer.text)")
        }
    }

    @Test(arguments: [1 << 20, 80 << 10])
    func `headers without end are answered 431`(count: Int) async throws {
        try await service().run(.live) { client in
            let long = String(repeating: "y", count: 4096)
            let parts = ["GET / HTTP/1.1\r\nHost: x\r\nX-Long: "] + Array(repeating: long, count: count / 4096)
            let answer = try await RawConnection(port: client.port!).exchange(parts)
            #expect(answer.isClosed)
            #expect(answer.status == 431 && answer.text.contains("headers_too_large"))
            let many = (0..<300).map { "X-\($0): y\r\n" }.joined()
            #expect(try await RawConnection(port: client.port!).exchange(["GET / HTTP/1.1\r\n\(many)\r\n"]).status == 431)
            #expect(try await client.get("/health/live").status == .ok)
        }
    }

    // MARK: Not HTTP

    @Test(arguments: [
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "nonsense\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
        "GET /health/live HTTP/1.1\r\nHost : x\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
    ])
    func `what is no HTTP is answered 400 and the connection closed`(request: String) async throws {
        let service = service()
        try await service.run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange([request])
            #expect(answer.isClosed)
            #expect(answer.status == 400 && answer.text.contains("malformed_request"))
            #expect(try await client.get("/health/live").status == .ok)
        }
        #expect(try service.publisher.events.isEmpty)
    }

    // MARK: Half a body

    @Test func `a body that breaks off is not taken in, not even its whole lines`() async throws {
        let service = service()
        let lines = "\(Sample.event("a"))\n\(Sample.event("b"))\n"
        let chunked = Self.head + "Transfer-Encoding: chunked\r\n\r\n" + Self.chunk(lines)
        let sized = Self.head + "Content-Length: \(lines.utf8.count + 1)\r\n\r\n" + lines
        try await service.run(.live) { client in
            let connection = RawConnection(port: client.port!)
            for body in [chunked, sized] {
                _ = try await connection.exchange([body], pause: .milliseconds(50), closingAfter: true, limit: .seconds(2))
            }
            let broken = try await connection.exchange([chunked + "zz\r\n"])
            #expect(broken.status == 400 && broken.isClosed)
        }
        try await impatient(as: service).run(.live) { client in
            for body in [chunked, sized] {
                // Not closed by the client, but too slow: closed by the service.
                let answer = try await RawConnection(port: client.port!).exchange([body])
                #expect(answer.isClosed)
            }
        }
        #expect(try service.publisher.events.isEmpty)
    }

    // MARK: Too slow

    @Test func `headers that trickle are cut off`() async throws {
        try await impatient().run(.live) { client in
            let trickle = Self.ask.dropLast(2).map { String($0) } + Array(repeating: "X", count: 1000)
            let answer = try await RawConnection(port: client.port!).exchange(trickle, pause: .milliseconds(20))
            #expect(answer.isClosed && answer.text.isEmpty)
        }
    }

    @Test func `a connection that says nothing is closed`() async throws {
        try await impatient().run(.live) { client in
            let answer = try await RawConnection(port: client.port!).exchange([])
            #expect(answer.isClosed)
        }
    }

    @Test func `a body that trickles is cut off`() async throws {
        let service = impatient()
        try await service.run(.live) { client in
            let parts = [Self.head + "Content-Length: 100000\r\n\r\n"] + Array(repeating: "x", count: 1000)
            let answer = try await RawConnection(port: client.port!).exchange(parts, pause: .milliseconds(20))
            #expect(answer.isClosed)
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `a body that comes too slowly is answered 408`() async throws {
        let service = impatient()
        try await service.run(.live) { client in
            let part = String(repeating: "x", count: 1_000)
            for head in [Self.head + "Content-Length: 100000\r\n\r\n", Self.head + "Transfer-Encoding: chunked\r\n\r\n" + Self.chunk(part)]
            {
                let answer = try await RawConnection(port: client.port!).exchange([head])
                #expect(answer.status == 408 && answer.isClosed && answer.text.contains("body_timeout"), "\(answer.text)")
            }
        }
        #expect(try service.publisher.events.isEmpty)
    }

    @Test func `a body that comes fast enough has a time as a whole`() async throws {
        let service = service {
            $0.timeouts.headers = .milliseconds(400)
            $0.timeouts.bodyBytesPerSecond = 1
            $0.timeouts.bodyTotal = .seconds(1)
        }
        try await service.run(.live) { client in
            let parts = [Self.head + "Content-Length: 100000\r\n\r\n"] + Array(repeating: "x", count: 1000)
            let answer = try await RawConnection(port: client.port!).exchange(parts, pause: .milliseconds(20))
            #expect(answer.status == 408 && answer.isClosed && answer.duration < .seconds(20), "\(answer.text)")
        }
    }

    @Test func `a connection may be used again, and idle for a while`() async throws {
        let service = service {
            $0.timeouts.headers = .milliseconds(400)
            $0.timeouts.keepAlive = .seconds(5)
        }
        try await service.run(.live) { client in
            // Longer than the time for headers, shorter than that for keeping alive.
            let answer = try await RawConnection(port: client.port!).exchange([Self.ask, Self.ask], pause: .milliseconds(600))
            #expect(answer.text.components(of: "200 OK") == 2)
            #expect(answer.isClosed)
        }
    }

    @Test func `slow connections do not keep others from being served`() async throws {
        try await service { $0.timeouts.headers = .seconds(5) }.run(.live) { client in
            let port = client.port!
            // Its connection keeps from here on.
            #expect(try await client.get("/health/live").status == .ok)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<200 {
                    group.addTask { try await RawConnection(port: port).exchange(["GET / HT"]).isClosed }
                }
                for _ in 0..<50 { #expect(try await client.get("/health/live").status == .ok) }
                for try await isClosed in group { #expect(isClosed) }
            }
        }
    }

    // MARK: Pipelines and closing

    @Test func `pipelined requests are answered in their order`() async throws {
        try await service().run(.live) { client in
            let asks = (0..<5).map { "GET /nothing/\($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined()
            let answer = try await RawConnection(port: client.port!).exchange([asks], until: "/nothing/4;")
            let found = (0..<5).map { answer.text.firstRange(of: "/nothing/\($0);")?.lowerBound }
            #expect(found.allSatisfy { $0 != nil } && found.compactMap { $0 } == found.compactMap { $0 }.sorted())
        }
    }

    @Test func `Connection close is honoured`() async throws {
        try await service { $0.timeouts.keepAlive = .seconds(60) }.run(.live) { client in
            let ask = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            let answer = try await RawConnection(port: client.port!).exchange([ask])
            #expect(answer.status == 200 && answer.isClosed)
            // What follows in the pipeline is not answered, and does not keep the connection.
            let two = try await RawConnection(port: client.port!).exchange([ask + Self.ask])
            #expect(two.text.components(of: "200 OK") == 1 && two.isClosed)
        }
    }

    @Test func `a body nobody asked for is thrown away, and the connection goes on`() async throws {
        try await service().run(.live) { client in
            let body = String(repeating: "x", count: 50_000)
            let post = "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + body
            let answer = try await RawConnection(port: client.port!).exchange([post + Self.ask], until: "live\"")
            #expect(answer.status == 404 && answer.text.contains("200 OK"))
        }
    }

    // MARK: Shutting down

    @Test func `a graceful shutdown answers what is under way`() async throws {
        let service = service()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        service.publisher.state.withLock { $0.gate = gate }
        let (ports, portSink) = AsyncStream<Int>.makeStream()
        var settings = service.settings
        settings.port = 0
        let application = makeApplication(services: service.services, settings: settings, logger: TestService.quiet) { portSink.yield($0) }
        let group = ServiceGroup(configuration: .init(services: [application], logger: TestService.quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            async let answer = RawConnection(port: port).exchange([
                "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: \(Sample.event("a").utf8.count)\r\n\r\n" + Sample.event("a")
            ])
            async let idle = RawConnection(port: port).exchange([Self.ask])
            while try await RawConnection(port: port).exchange([Self.ask], until: "live").status != 200 {}
            await group.triggerGracefulShutdown()
            #expect(try await idle.isClosed)
            opener.finish()
            #expect(try await answer.status == 202)
            try await tasks.waitForAll()
            await #expect(throws: (any Error).self) { try await RawConnection(port: port).exchange([Self.ask]) }
        }
        #expect(try service.publisher.events.map(\.id) == ["a"])
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
