import AnalyticsJSON
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import ServiceLifecycle
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Answers beyond one slice, and clients that do not read them.
@Suite struct LargeAnswerTests {
    /// Newest first.
    private static func events(_ count: Int, bytes: Int) -> [StoredEvent] {
        let data = JSONText(normalised: #"{"text":"\#(String(repeating: "x", count: bytes))"}"#)
        return (0..<count).map { index in
            let time = TestService.now - .milliseconds(index)
            let event = Event(
                project: Project.default, id: "id \"\(index)\" é", type: "t\(index)", source: "s", timestamp: time, data: data,
                receivedAt: time, ingestID: "r:\(index)")
            return StoredEvent(event: event, processedAt: time, context: nil, fingerprint: 0)
        }
    }

    private static func service(_ events: [StoredEvent], _ change: (inout APISettings) -> Void = { _ in }) async throws -> TestService {
        var service = TestService()
        try await service.store.process(events)
        service.settings.timeouts = ConnectionTimeouts.Limits(headers: .seconds(8), answer: .seconds(2))
        change(&service.settings)
        return service
    }

    /// How many bytes come until the end of a connection, or until it is clear that there is none; some of them have come when `onFirst` is
    /// called.
    private static func read(
        _ connection: UnreadConnection, pause: Duration = .milliseconds(1), onFirst: () async -> Void = {}
    ) async throws -> Int {
        var received = 0
        let deadline = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < deadline, let count = connection.read(16_384) {
            if received == 0, count > 0 { await onFirst() }
            received += count
            try await Task.sleep(for: pause)
        }
        return received
    }

    /// An answer as one text, as if it were small.
    private static func whole(_ members: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        members(&writer)
        writer.endObject()
        return writer.text
    }

    // MARK: Slices

    @Test(arguments: [0, 1, 100, 6_000, 6_500, 20_000])
    func `slices make up the whole, and none is longer than a slice and an element`(count: Int) {
        let parts = [.once { $0.member("a", 1) }] + JSONPart.list("list", of: Array(0..<count)) { $1.integer(Int64($0) * 1_000_000_000) }
        let expected = Self.whole { writer in
            writer.member("a", 1)
            writer.key("list")
            writer.beginArray()
            for number in 0..<count { writer.integer(Int64(number) * 1_000_000_000) }
            writer.endArray()
        }
        var (json, text, slices) = (SlicedJSON(parts), "", 0)
        #expect(json.remainingBytes == expected.utf8.count)
        while let slice = json.next() {
            #expect(slice.readableBytes <= SlicedJSON.sliceBytes + 40)
            text += String(buffer: slice)
            slices += 1
        }
        #expect(text == expected && slices == max(1, (expected.utf8.count + SlicedJSON.sliceBytes - 1) / SlicedJSON.sliceBytes))
    }

    @Test func `a large listing is the same JSON as one text, with its length, and the connection goes on`() async throws {
        let events = Self.events(100, bytes: 20_000)
        try await Self.service(events).run(.live) { client in
            let expected = Self.whole { writer in
                writer.key("events")
                writer.beginArray()
                for event in events { writer.event(event) }
                writer.endArray()
                writer.key("nextCursor")
                writer.json("null".utf8)
            }
            let ask = "/api/v1/events?limit=100"
            let answer = try await client.get(ask)
            #expect(answer.status == .ok && answer.text == expected)
            #expect(answer.headers[.contentLength] == "\(expected.utf8.count)" && answer.headers[.transferEncoding] == nil)
            let head = try await client.executeRequest(uri: ask, method: .head, headers: [:], body: nil)
            #expect(head.headers[.contentLength] == answer.headers[.contentLength] && head.body.readableBytes == 0)
            let request = "GET \(ask) HTTP/1.1\r\nHost: x\r\n\r\n"
            let again = try UnreadConnection(port: client.port!)
            try await again.send(request + request + "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let received = try await Self.read(again)
            #expect((2 * expected.utf8.count..<2 * expected.utf8.count + 2_000).contains(received))
        }
    }

    @Test func `large counts are the same JSON as one text`() async throws {
        let events = Self.events(9_000, bytes: 1)
        try await Self.service(events).run(.live) { client in
            let expected = Self.whole { writer in
                for name in ["from", "to"] as [StaticString] {
                    writer.key(name)
                    writer.json("null".utf8)
                }
                writer.member("total", 9_000)
                writer.key("counts")
                writer.beginObject()
                for type in events.map(\.event.type).sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
                    writer.key(type)
                    writer.integer(1)
                }
                writer.endObject()
                writer.member("other", 0)
            }
            #expect(expected.utf8.count > SlicedJSON.sliceBytes)
            for cache in ["MISS", "HIT"] {
                let answer = try await client.get("/api/v1/events/counts?limit=10000")
                #expect(answer.text == expected && answer.headers[.xCache] == cache)
            }
        }
    }

    @Test func `a page ends where its events take the bytes of a page`() async throws {
        try await Self.service(Self.events(100, bytes: 200_000)).run(.live) { client in
            let page = try await client.get("/api/v1/events?limit=100")
            #expect((page.json["events"] as? [Any])?.count == EventReader.pageBytes / 200_000 + 1)
            let cursor = try #require(page.json["nextCursor"] as? String)
            let next = try await client.get("/api/v1/events?limit=100&cursor=\(cursor)")
            #expect(((next.json["events"] as? [[String: Any]])?.first?["type"] as? String) == "t\(EventReader.pageBytes / 200_000 + 1)")
        }
    }

    // MARK: The budget

    private static let onePage = EventReader.pageBytes + 2 * SlicedJSON.sliceBytes

    /// One that reads nothing, and whose answer takes all the room there is; and what another one is told meanwhile.
    private static func stuckClient(_ client: any TestClientProtocol) async throws -> (UnreadConnection, refused: TestResponse) {
        for _ in 0..<20 {
            let stuck = try UnreadConnection(port: client.port!)
            try await stuck.send("GET /api/v1/events?limit=40 HTTP/1.1\r\nHost: x\r\n\r\n")
            // The question that finds out may itself take the room, and the stuck client is then the one that is refused.
            var refusals = 0
            for _ in 0..<100 {
                let answer = try await client.get("/api/v1/events?limit=1")
                refusals = answer.status == .serviceUnavailable ? refusals + 1 : 0
                if refusals == 10 { return (stuck, answer) }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        throw NeverStuck()
    }

    private struct NeverStuck: Error {}

    @Test func `an answer for which there is no room is refused, and there is room once the client that does not read is cut`() async throws
    {
        let events = Self.events(40, bytes: 200_000)
        let service = try await Self.service(events) {
            $0.maximumAnswerBytesInMemory = Self.onePage
            $0.timeouts.answer = .seconds(8)
        }
        try await service.run(.live) { client in
            let (stuck, refused) = try await Self.stuckClient(client)
            #expect(refused.isProblem && refused.code == "too_many_answers" && refused.headers[.retryAfter] == "1")
            // What holds nothing is served meanwhile, and so is what brings its own room.
            #expect(try await client.get("/health/live").status == .ok)
            #expect(try await client.post("/api/v1/events", Sample.event("new")).status == .accepted)
            try await eventually("the client is cut") { try await client.get("/api/v1/events?limit=1").status == .ok }
            #expect(try await Self.read(stuck) < 2_000_000)
        }
    }

    @Test func `a client that goes in the middle of an answer gives its room back at once`() async throws {
        let service = try await Self.service(Self.events(40, bytes: 200_000)) {
            $0.maximumAnswerBytesInMemory = Self.onePage
            $0.timeouts.answer = .seconds(60)
        }
        try await service.run(.live) { client in
            var stuck: UnreadConnection? = try await Self.stuckClient(client).0
            withExtendedLifetime(stuck) {}
            stuck = nil
            try await eventually("the room is back", within: .seconds(20)) { try await client.get("/api/v1/events?limit=1").status == .ok }
        }
    }

    @Test func `a client that reads slowly, but fast enough, gets all of its answer`() async throws {
        let service = try await Self.service(Self.events(40, bytes: 25_000)) {
            $0.timeouts.answerBytes = 20_000
            $0.timeouts.answer = .seconds(4)
        }
        try await service.run(.live) { client in
            let length = try #require(try await client.get("/api/v1/events?limit=40").headers[.contentLength].flatMap { Int($0) })
            let slow = try UnreadConnection(port: client.port!)
            try await slow.send("GET /api/v1/events?limit=40 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            // It takes longer than a client that reads nothing may.
            #expect(try await Self.read(slow, pause: .milliseconds(100)) > length)
        }
    }

    /// The kernel takes more than half of it, and the rest is written and waits.
    @Test(arguments: ["", "Connection: close\r\n"])
    func `a client that does not read the end of its answer is cut, also on a connection that ends with it`(header: String) async throws {
        try await Self.service(Self.events(9, bytes: 20_000)).run(.live) { client in
            let length = try #require(try await client.get("/api/v1/events?limit=9").headers[.contentLength].flatMap { Int($0) })
            let stuck = try UnreadConnection(port: client.port!)
            try await stuck.send("GET /api/v1/events?limit=9 HTTP/1.1\r\nHost: x\r\n\(header)\r\n")
            try await Task.sleep(for: .seconds(8))
            #expect(try await Self.read(stuck) < length)
        }
    }

    @Test func `300 clients that do not read leave the service to others`() async throws {
        let service = try await Self.service(Self.events(20, bytes: 200_000)) {
            $0.timeouts = ConnectionTimeouts.Limits(headers: .seconds(8), answer: .seconds(2))
        }
        try await service.run(.live) { client in
            let field = String(repeating: #"\u0001"#, count: 500)
            let body = "[" + Array(repeating: #"{"\#(field)":1}"#, count: 200).joined(separator: ",") + "]"
            let post = "POST /api/v1/events/batch HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
            let stuck = try await withThrowingTaskGroup(of: UnreadConnection.self) { group in
                for index in 0..<300 {
                    group.addTask { [port = client.port!] in
                        let connection = try UnreadConnection(port: port)
                        // One whose body finds no room is closed while it sends.
                        try? await connection.send(
                            index.isMultiple(of: 2) ? post : "GET /api/v1/events?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n")
                        return connection
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for index in 0..<20 {
                #expect(try await client.get("/health/live").status == .ok)
                #expect(try await client.post("/api/v1/events", Sample.event("other \(index)")).status == .accepted)
            }
            try await eventually("listings are answered again") { try await client.get("/api/v1/events?limit=20").status == .ok }
            withExtendedLifetime(stuck) {}
        }
    }

    // MARK: Closing

    @Test func `a client that ends its side in the middle of an answer gets the end of it`() async throws {
        try await Self.service(Self.events(20, bytes: 200_000), { $0.timeouts.answer = .seconds(20) }).run(.live) { client in
            let request = "GET /api/v1/events?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n"
            let whole = try await RawConnection(port: client.port!).exchange([request], until: #""nextCursor":null}"#)
            let slow = try UnreadConnection(port: client.port!)
            try await slow.send(request)
            #expect(try await Self.read(slow) { slow.endSending() } == whole.text.utf8.count)
        }
    }

    @Test func `a graceful shutdown gives the end of a large answer to a client that reads it`() async throws {
        let service = try await Self.service(Self.events(20, bytes: 200_000)) { $0.timeouts.answer = .seconds(10) }
        let request = "GET /api/v1/events?limit=20 HTTP/1.1\r\nHost: x\r\n\r\n"
        let (ports, portSink) = AsyncStream<Int>.makeStream()
        var settings = service.settings
        settings.port = 0
        let application = makeApplication(services: service.services, settings: settings, logger: TestService.quiet) { portSink.yield($0) }
        let group = ServiceGroup(configuration: .init(services: [application], logger: TestService.quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            let whole = try await RawConnection(port: port).exchange([request], until: #""nextCursor":null}"#)
            let slow = try UnreadConnection(port: port)
            try await slow.send(request)
            #expect(try await Self.read(slow) { await group.triggerGracefulShutdown() } == whole.text.utf8.count)
            try await tasks.waitForAll()
        }
    }
}
