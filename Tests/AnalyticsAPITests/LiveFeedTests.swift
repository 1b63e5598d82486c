import AnalyticsCore
import AnalyticsJSON
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsAPI

@Suite(.timeLimit(.minutes(2)))
struct LiveFeedTests {
    private let store = MemoryStore()
    private let manual = ManualClock()

    private var clock: WallClock { WallClock { [manual] in noon + manual.elapsed.now() } }

    private func feed(_ limits: LiveFeed.Limits = LiveFeed.Limits(), gate: QueryGate = QueryGate()) -> LiveFeed {
        LiveFeed(
            reader: LiveReader(
                engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate), reader: EventReader(store: store, gate: gate),
                pipeline: PipelineReader(store: store, gate: gate, clock: clock)),
            limits: limits, clock: clock, elapsed: manual.elapsed, logger: quiet)
    }

    /// Lets a second pass once all that is due is told, to its end. Each poll has two tasks that wait.
    private func pass() async throws {
        try await eventually("the poll waits") { manual.sleeping.count == 2 }
        manual.advance(by: .seconds(1))
        try await eventually("the poll has told the second") { manual.sleeping.count == 2 }
    }

    private static func json(_ bytes: ByteBuffer) throws -> [String: Any] {
        let text = String(buffer: bytes)
        let data = try #require(text.split(separator: "\n").first { $0.hasPrefix("data: ") }).dropFirst(6)
        return try #require(try JSONSerialization.jsonObject(with: Data(data.utf8)) as? [String: Any])
    }

    private func event(_ id: String, _ type: String, at time: Timestamp, user: String? = nil, data: String = "{}", isBot: Bool = false)
        -> StoredEvent
    {
        StoredEvent(
            event: Event(
                project: "default", id: id, type: type, source: "s", timestamp: time, data: JSONText(normalised: data),
                userId: user,
                receivedAt: time, ingestID: "r-\(id):0"), processedAt: time, context: isBot ? JSONText(normalised: #"{"bot":true}"#) : nil,
            fingerprint: 1)
    }

    @Test func aSecondSaysWhatHappenedInIt() async throws {
        let start = noon - .seconds(2)
        // 52 types; the first ten events carry more than is shown.
        let events = (0..<200).map { number in
            event(
                "e\(number)", number < 104 ? "t\(number % 52)" : "t0", at: start + .milliseconds(number * 5), user: "u\(number % 7)",
                data: number % 2 == 0 ? "{}" : "\"\(String(repeating: "x", count: 3_000))\"")
        }
        try await store.process(
            events + [event("before", "t", at: start - .milliseconds(1), user: "a"), event("after", "t", at: start + .seconds(1))])
        var counts = PipelineCounts()
        (counts.accepted, counts.first) = (3, noon - .seconds(90))
        try await store.write([
            PipelineCell(project: "default", minute: noon.minute - 2, writer: "a", revision: 1, counts: counts)
        ])
        let feed = feed()
        let subscription = try feed.subscribe(to: "default", after: nil)
        defer { withExtendedLifetime(subscription) {} }
        var chunks = subscription.chunks.makeAsyncIterator()
        let bytes = try #require(await chunks.next())
        let second = start.milliseconds / 1_000
        #expect(String(buffer: bytes).hasPrefix("id: \(second)\nevent: second\ndata: {") && String(buffer: bytes).hasSuffix("}\n\n"))
        let json = try Self.json(bytes)
        #expect(json["second"] as? String == start.rfc3339 && json["events"] as? Int == 200 && json["rate"] as? Double == 200)
        let types = try #require(json["types"] as? [[String: Any]])
        #expect(types.count == 50 && types[0]["type"] as? String == "t0" && types[0]["events"] as? Int == 98)
        #expect(json["other"] as? Int == 4)
        #expect(json["lagSeconds"] as? Double == 90)
        let newest = try #require(json["newest"] as? [[String: Any]])
        let ids = newest.map { $0["id"] as? String ?? "" }
        let shown = stride(from: 199, through: 190, by: -1).map { "e\($0)" }
        #expect(ids == shown)
        let clipped: [Bool] = newest.map { $0["isClipped"] as? Bool ?? false }
        let odd: [Bool] = (0..<10).map { $0.isMultiple(of: 2) }
        #expect(clipped == odd)
        for event in newest { #expect((event["data"] == nil) == (event["isClipped"] != nil)) }
        #expect(bytes.readableBytes < 20_000)

        // Users are asked for beside.
        try await eventually("users are known") { manual.sleeping.count == 2 }
        manual.advance(by: .seconds(1))
        let next = try Self.json(try #require(await chunks.next()))
        let users = try #require(next["users"] as? [String: Any])
        #expect(users["last5Minutes"] as? Int == 8 && users["last30Minutes"] as? Int == 8 && users["asOf"] as? String == noon.rfc3339)
        #expect(next["events"] as? Int == 1)
    }

    @Test func usersAreCountedWithoutBotsAndTheLagReachesBackADay() async throws {
        try await store.process([
            event("bot", "t", at: noon - .seconds(2), user: "robot", isBot: true), event("new", "t", at: noon - .seconds(300), user: "ann"),
            event("old", "t", at: noon - .milliseconds(300_001), user: "bob"), event("first", "t", at: noon - .seconds(1_800), user: "cat"),
            event("before", "t", at: noon - .milliseconds(1_800_001), user: "dan"), event("now", "t", at: noon, user: "eve"),
        ])
        var counts = PipelineCounts()
        (counts.accepted, counts.first) = (1, noon - .seconds(7_200))
        try await store.write([PipelineCell(project: "default", minute: noon.minute - 120, writer: "a", revision: 1, counts: counts)])
        let feed = feed()
        let subscription = try feed.subscribe(to: "default", after: nil)
        defer { withExtendedLifetime(subscription) {} }
        var chunks = subscription.chunks.makeAsyncIterator()
        // What happened is told of bots, too.
        #expect(try Self.json(try #require(await chunks.next()))["events"] as? Int == 1)
        try await pass()
        let next = try Self.json(try #require(await chunks.next()))
        let users = try #require(next["users"] as? [String: Any])
        #expect(users["last5Minutes"] as? Int == 1 && users["last30Minutes"] as? Int == 3 && users["asOf"] as? String == noon.rfc3339)
        #expect(next["lagSeconds"] as? Double == 7_201)
    }

    @Test func allReadersOfAProjectShareOnePoll() async throws {
        let feed = feed()
        let readers = try (0..<50).map { _ in try feed.subscribe(to: "default", after: nil) }
        defer { withExtendedLifetime(readers) {} }
        var iterators = readers.map { $0.chunks.makeAsyncIterator() }
        var first: [ByteBuffer?] = []
        for index in iterators.indices { first.append(await iterators[index].next()) }
        try await eventually("users are known") { manual.sleeping.count == 2 }
        let queries = store.queries
        try await pass()
        var second: [ByteBuffer?] = []
        for index in iterators.indices { second.append(await iterators[index].next()) }
        #expect(Set(second).count == 1 && second[0] != nil)
        #expect(store.queries - queries < 20, "one look for all of them")
        // The same bytes, not equal ones.
        let places = second.map { $0?.withUnsafeReadableBytes { $0.baseAddress } }
        #expect(Set(places).count == 1)
    }

    @Test func nobodyIsAskedOnceTheLastReaderHasLeft() async throws {
        let feed = feed()
        var subscription: LiveSubscription? = try feed.subscribe(to: "default", after: nil)
        try await eventually("it polls") { manual.sleeping.count == 2 }
        _ = subscription
        subscription = nil
        try await eventually("it has ended") { manual.sleeping.isEmpty }
        let queries = store.queries
        manual.advance(by: .seconds(60))
        #expect(store.queries == queries)
    }

    @Test func whoComesBackToAnotherProcessGoesOnWhereItWas() async throws {
        let project: ProjectID = "default"
        for second in -20..<20 {
            try await store.process([event("e\(second)", "t", at: noon + .seconds(second))])
        }
        let feeds = [feed(), feed()]
        var ids: [String] = []
        var last: Int64?
        for turn in 0..<4 {
            let subscription = try feeds[turn % 2].subscribe(to: project, after: last)
            defer { withExtendedLifetime(subscription) {} }
            var chunks = subscription.chunks.makeAsyncIterator()
            for _ in 0..<3 {
                let bytes = try #require(await chunks.next())
                let json = try Self.json(bytes)
                ids += (json["newest"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
                last = Int64(String(buffer: bytes).split(separator: "\n")[0].dropFirst(4))
                try await pass()
            }
        }
        #expect(ids == (-2..<10).map { "e\($0)" })
    }

    @Test func aReaderThatTakesNothingIsDroppedAndNobodyWaits() async throws {
        let project: ProjectID = "default"
        let feed = feed()
        let slow = try feed.subscribe(to: project, after: nil)
        let quick = try feed.subscribe(to: project, after: nil)
        defer { withExtendedLifetime(quick) {} }
        var chunks = quick.chunks.makeAsyncIterator()
        for _ in 0..<LiveChannel.held + 3 {
            _ = await chunks.next()
            try await pass()
        }
        var held = 0
        for await _ in slow.chunks { held += 1 }
        #expect(held == LiveChannel.held, "its stream has ended")
        #expect(await chunks.next() != nil)
    }

    @Test func moreReadersThanMayBeAreRefused() async throws {
        let feed = feed(LiveFeed.Limits(readers: 3, projects: 2))
        var readers = try ["a", "a", "b"].map { try feed.subscribe(to: ProjectID($0)!, after: nil) }
        try await eventually("both projects are told") { manual.sleeping.count == 4 }
        #expect(throws: Problem.self) { _ = try feed.subscribe(to: "a", after: nil) }
        readers.removeLast()
        #expect(throws: Problem.self) { _ = try feed.subscribe(to: "c", after: nil) }
        try readers.append(feed.subscribe(to: "a", after: nil))
        readers.removeAll()
        // What project b has told is older than anybody could come back for.
        manual.advance(by: .seconds(120))
        _ = try feed.subscribe(to: "c", after: nil)
    }

    @Test func whileTheStoreIsAwayTheConnectionIsKeptAndNothingIsLost() async throws {
        let project: ProjectID = "default"
        try await store.process([event("e", "t", at: noon + .seconds(3))])
        store.faults.down([.read])
        let feed = feed()
        let subscription = try feed.subscribe(to: project, after: nil)
        defer { withExtendedLifetime(subscription) {} }
        var chunks = subscription.chunks.makeAsyncIterator()
        for _ in 0..<11 { try await pass() }
        #expect(await chunks.next().map { String(buffer: $0) } == ":\n\n")
        store.faults.down([])
        try await pass()
        var events: [Int] = []
        for _ in 0..<12 { events.append(try Self.json(try #require(await chunks.next()))["events"] as? Int ?? -1) }
        #expect(events == (0..<12).map { $0 == 5 ? 1 : 0 })
    }

    @Test func aLagThatIsNotAnsweredHoldsNothingUp() async throws {
        try await store.process([event("e", "t", at: noon - .seconds(2))])
        store.beforeRead { operation async throws(StoreError) in
            if operation == "pipelineCells" { try? await Task.sleep(for: .seconds(600)) }
        }
        let feed = feed(gate: QueryGate(limits: QueryGate.Limits(timeout: .seconds(600))))
        let subscription = try feed.subscribe(to: "default", after: nil)
        defer { withExtendedLifetime(subscription) {} }
        var chunks = subscription.chunks.makeAsyncIterator()
        #expect(try Self.json(try #require(await chunks.next()))["events"] as? Int == 1)
    }

    // MARK: Over HTTP

    private static let ask = "GET /api/v1/live HTTP/1.1\r\nHost: x\r\n"

    @Test func aClientIsToldOverHTTP() async throws {
        let service = TestService()
        try await service.store.process([event("e", "t", at: TestService.now - .seconds(2))])
        try await service.run(.live) { client in
            let connection = RawConnection(port: client.port!)
            let answer = try await connection.exchange([Self.ask + "\r\n"], until: "\"id\":\"e\"")
            let text = answer.text
            #expect(answer.status == 200 && text.lowercased().contains("content-type: text/event-stream\r\n"))
            #expect(text.lowercased().contains("x-accel-buffering: no\r\n") && text.lowercased().contains("cache-control: no-store\r\n"))
            #expect(text.contains("retry: 2000\n\n") && text.contains("id: \(TestService.now.milliseconds / 1_000 - 2)\nevent: second\n"))
            // One that comes back is not told it again, and gets nothing more while the clock stands.
            let id = TestService.now.milliseconds / 1_000 - 2
            let again = try await connection.exchange([Self.ask + "Last-Event-ID: \(id - 1)\r\n\r\n"], until: "\"id\":\"e\"")
            #expect(again.text.components(separatedBy: "\nevent: second").count == 2)
            for wrong in ["x", "-1", "9223372036854775808"] {
                let refused = try await connection.exchange([Self.ask + "Last-Event-ID: \(wrong)\r\n\r\n"], until: "}")
                #expect(refused.status == 400 && refused.text.contains("invalid_header"), "\(wrong)")
            }
            #expect(try await client.get("/api/v1/live?project=x").code == "unknown_parameter")
        }
    }

    @Test func askingForHeadersAloneListensToNothing() async throws {
        var service = TestService()
        service.settings.maximumLiveReaders = 1
        try await service.run(.live) { client in
            for _ in 0..<3 {
                let answer = try await client.executeRequest(uri: "/api/v1/live", method: .head, headers: [:], body: nil)
                #expect(answer.status == .ok)
            }
        }
    }

    @Test func whoLeavesMakesRoomAndWhoFindsNoneIsTold() async throws {
        var service = TestService()
        service.settings.maximumLiveReaders = 1
        let store = service.store
        try await service.run(.live) { client in
            let port = client.port!
            let first = Task { try await RawConnection(port: port).exchange([Self.ask + "\r\n"], until: "never") }
            func status() async throws -> Int? {
                try await RawConnection(port: port).exchange([Self.ask + "\r\n"], until: "\r\n\r\n").status
            }
            try await eventually("the first listens") { store.queries > 0 }
            #expect(try await status() == 503)
            first.cancel()
            _ = try? await first.value
            try await eventually("there is room again") { try await status() == 200 }
        }
    }

    @Test func aShutdownEndsEachAnswerAsItShould() async throws {
        let service = TestService()
        let (ports, port) = AsyncStream<Int>.makeStream()
        var settings = service.settings
        settings.port = 0
        let application = makeApplication(services: service.services, settings: settings, logger: TestService.quiet) { port.yield($0) }
        try await testGracefulShutdown { trigger in
            let running = Task { try await application.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let reader = Task { try await RawConnection(port: port).exchange([Self.ask + "\r\n"]) }
            try await eventually("it is listening") { service.store.queries > 0 }
            trigger.triggerGracefulShutdown()
            let transcript = try await reader.value
            #expect(transcript.isClosed && transcript.text.hasSuffix("0\r\n\r\n"), "the last chunk: \(transcript.text.suffix(40))")
            #expect(await ends(running, within: .seconds(60)))
        }
    }
}
