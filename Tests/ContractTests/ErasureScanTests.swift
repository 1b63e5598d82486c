import AnalyticsEmbedded
import AnalyticsJSON
import AnalyticsRedis
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsMongoDB

/// What remains of an erased user is nothing: looked for byte by byte, wherever anything is kept.
@Suite("Nothing of the erased is left", .timeLimit(.minutes(5)))
struct ErasureScanTests {
    static let secret = "ann-4711-of-tests"
    private static let project: ProjectID = "default"

    @Test("in the files of the embedded backends")
    func embedded() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "erasure-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteStore(path: folder.appending(path: "events.sqlite").path, logger: quiet)
        try await store.prepare()
        let queue = try SQLiteQueue(path: folder.appending(path: "queue.sqlite").path, logger: quiet)
        let scan: @Sendable () async throws -> [String] = {
            let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            return try files.filter { try Data(contentsOf: $0).range(of: Data(Self.secret.utf8)) != nil }.map(\.lastPathComponent).sorted()
        }
        let erasing = Erasing(store: store, broker: queue, cache: MemoryCache(), scan: scan)
        let before = try await erasing.run()
        #expect(before.contains { $0.hasPrefix("events.sqlite") } && before.contains { $0.hasPrefix("queue.sqlite") }, "\(before)")
        await queue.shutdown()
        #expect(try await scan() == [])
    }

    @Test(
        "in MongoDB, RabbitMQ and Redis",
        .enabled(if: StoreBackend.available.contains(.mongodb) && BrokerBackend.available.contains(.rabbitmq) && RedisAddress.shared != nil)
    )
    func real() async throws {
        let address = try #require(RedisAddress.shared)
        try await withMongoDatabase { store in
            try await withBroker(.rabbitmq) { broker in
                let cache = RedisCache(
                    host: address.host, port: address.port, password: nil, keyPrefix: "test:\(UUID().uuidString):", logger: quiet)
                let erasing = Erasing(store: store, broker: broker.broker, cache: cache) {
                    try await store.everything().filter { [$0.bytes].hold(Self.secret) }.map(\.collection.rawValue)
                }
                do {
                    let before = try await erasing.run()
                    #expect(before.contains("events") && before.contains("segment_blobs"), "\(Set(before))")
                    let names = try await store.collectionNames()
                    #expect(Set(names).subtracting(CollectionName.allCases.map(\.rawValue)) == [], "all of them were read")
                } catch {
                    await cache.shutdown()
                    throw error
                }
                await cache.shutdown()
            }
        }
    }

    /// Debian builds SQLite so that it overwrites what it deletes. Rows that were copied from page to page stay where they were all the same, as
    /// when pages are joined that others have left half empty.
    @Test("copies that SQLite has left in pages and the log are overwritten")
    func copies() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "erasure-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteStore(path: folder.appending(path: "events.sqlite").path, logger: quiet)
        try await store.prepare()
        var random = Seeded(3)
        let events = (0..<12_000).map { number in
            let user = random.chance(10) ? Self.secret : "user \(random.below(2_000))"
            let filling = String(repeating: "x", count: random.below(600))
            return stored(
                "\(random.next())", at: noon + .milliseconds(random.below(86_400_000)), data: #"{"by":"\#(user)","f":"\#(filling)"}"#,
                userId: user)
        }
        for first in stride(from: 0, to: 12_000, by: 1_000) { try await store.add(Array(events[first..<first + 1_000])) }
        let others = events.filter { $0.event.userId != Self.secret }.shuffled(using: &random)
        for first in stride(from: 0, to: 6_000, by: 500) { _ = try await store.remove(others[first..<first + 500].map(\.event)) }
        let own = events.filter { $0.event.userId == Self.secret }.map(\.event)
        #expect(try await store.remove(own) == own.count)
        try await store.overwriteDeleted()
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            #expect(try Data(contentsOf: file).range(of: Data(Self.secret.utf8)) == nil, "\(file.lastPathComponent)")
        }
        #expect(try await store.event(project: "p", id: others[6_000].event.id) == others[6_000])
    }

    @Test("the embedded files are written anew: what was deleted takes no room, and the logs are empty")
    func overwriting() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "erasure-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func size(_ name: String) throws -> Int { try Data(contentsOf: folder.appending(path: name)).count }
        let filling = String(repeating: "x", count: 4_000)
        let store = try SQLiteStore(path: folder.appending(path: "events.sqlite").path, logger: quiet)
        try await store.prepare()
        let events = (0..<500).map { stored("\($0)", data: #"{"f":"\#(filling)"}"#) }
        try await store.add(events)
        #expect(try await store.remove(events.map(\.event)) == 500)
        try await store.overwriteDeleted()
        #expect(try size("events.sqlite") < 500_000 && size("events.sqlite-wal") == 0)

        let queue = try SQLiteQueue(path: folder.appending(path: "queue.sqlite").path, logger: quiet)
        let letters = (0..<500).map { number in
            DeadLetter(
                reason: .refused, error: filling, attempts: 1, at: noon, project: "p", eventId: "\(number)", original: Array("{}".utf8)
            ).message()
        }
        #expect(await queue.publish(letters, to: .deadLetters).allSatisfy { $0 == .confirmed })
        #expect(try await queue.eraseDeadLetters { _ in true } == DeadLetterErasure(erased: 500))
        try await queue.overwriteDeleted()
        #expect(try size("queue.sqlite") < 500_000 && size("queue.sqlite-wal") == 0)
        await queue.shutdown()
    }

    @Test("what is still shown has ended before the second pass")
    func graces() {
        let settling = ErasureWorker.Settings().settling
        #expect(settling > .seconds(AnswerAge.limits.upperBound) && settling > SegmentWork.grace + SegmentWork.lease)
        #expect(settling > QuestionCache.timeToLive)
        #expect(ErasureWorker.Settings().lease > ErasureJob.least && ErasureJob.least > ErasureJob.deletion * 2)
    }
}

/// A cache whose entries live a thousandth of their time, and which remembers what was put into it.
private final class QuickCache: CountCache {
    private let cache: any CountCache
    private let kept = Mutex<[String: [UInt8]]>([:])

    init(_ cache: any CountCache) {
        self.cache = cache
    }

    var everything: [String: [UInt8]] { kept.withLock { $0 } }

    func value(for key: String) async -> CacheLookup { await cache.value(for: key) }

    func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {
        kept.withLock { $0[key] = value }
        await cache.store(value, for: key, timeToLive: timeToLive / 1_000)
    }

    func health() async -> Health { await cache.health() }
}

/// Stores events of many, erases one of them, and looks.
private struct Erasing: Sendable {
    let store: any Store
    let broker: any Broker
    let cache: QuickCache
    let scan: @Sendable () async throws -> [String]
    private let time = Clock()

    private final class Clock: Sendable {
        let now = Mutex(noon)
    }

    init(store: any Store, broker: any Broker, cache: any CountCache, scan: @escaping @Sendable () async throws -> [String]) {
        self.store = store
        self.broker = broker
        self.cache = QuickCache(cache)
        self.scan = scan
    }

    private var clock: WallClock { WallClock { [time] in time.now.withLock { $0 } } }

    private func advance(by duration: Duration) { time.now.withLock { $0 = $0 + duration } }

    /// Returns where the id was before.
    func run() async throws -> [String] {
        var random = Seeded(5)
        try await send((0..<1_500).map { event($0, &random) })
        // One id with other content: a dead letter.
        var conflicting = event(7, &random, user: ErasureScanTests.secret)
        (conflicting.type, conflicting.ingestID) = ("other", "other:0")
        try await send([conflicting])
        try await settle()
        // Rows that are replaced stay in their run.
        try await send((1_500..<1_540).map { event($0, &random) })
        try await settle()
        try await ask()
        let before = try await scan()
        #expect([Array(cache.everything.values.joined())].hold(ErasureScanTests.secret))
        #expect(try await letters().hold(ErasureScanTests.secret))

        let erasures = Erasures(store: store, clock: clock, ids: .counting("erasure"))
        let erasure = try await erasures.request(Selection(project: "default", userIds: [ErasureScanTests.secret]))
        try await finish(erasures, erasure.id)
        // What comes again is not stored, and does not stay in the queue.
        random = Seeded(5)
        try await send((0..<300).map { event($0, &random) })
        try await settle()
        try await store.overwriteDeleted()
        try await broker.overwriteDeleted()

        let done = try #require(try await erasures.erasure(erasure.id, of: "default"))
        #expect(done.state == .done && done.deletedEvents > 100 && done.deletedDeadLetters == 1)
        #expect(try await scan() == [])
        #expect(try await !letters().hold(ErasureScanTests.secret))
        try await expectGoneFromCache()
        #expect(try await store.ids(Selection(project: "default", userIds: [ErasureScanTests.secret])).isEmpty)
        let report = try await Reconciliation(store: store, pause: .milliseconds(1)).run()
        #expect(report.differences == [] && report.marked == 0)
        #expect(try await SegmentCheck(store: store).run().differences == [])
        return before
    }

    private func event(_ number: Int, _ random: inout Seeded, user: String? = nil) -> Event {
        let isAnn = number % 9 == 4
        let user = user ?? (isAnn ? ErasureScanTests.secret : "user \(random.below(200))")
        let filling = String(repeating: "x", count: random.below(900))
        var event = Event(
            project: "default", id: "e\(number)", type: isAnn && number % 2 == 0 ? "$identify" : "t\(random.below(5))", source: "web",
            timestamp: noon + .milliseconds(random.below(2 * 86_400_000)), data: .init(normalised: #"{"by":"\#(user)","f":"\#(filling)"}"#),
            receivedAt: noon, ingestID: "r\(number):0")
        (event.userId, event.sessionId) = (user, "session of \(user)")
        if isAnn { event.anonymousId = "device \(number % 5) of \(user)" }
        return event
    }

    private func send(_ events: [Event]) async throws {
        let messages = events.map { OutgoingMessage(body: EnvelopeEncoder.single($0, origin: RequestOrigin()), events: 1) }
        #expect(await broker.publish(messages, to: .events).allSatisfy { $0 == .confirmed })
        let processor = Processor(
            broker: broker, store: store, enrichments: [], clock: clock, makeID: .uuid7(clock: clock), logger: quiet)
        let task = Task { try await processor.run() }
        try await eventually("all is stored") {
            let depths = try await broker.depths()
            return depths.ready == 0 && depths.unacknowledged == 0
        }
        task.cancel()
        #expect(await ends(task))
    }

    private func settle() async throws {
        try await Roller(store: store, logger: quiet).finish()
        try await SegmentBuilder(store: store, clock: clock, logger: quiet).finish()
    }

    private func ask() async throws {
        let engine = QueryEngine(store: store, cache: cache, gate: QueryGate())
        let everything = Selection(project: "default", from: noon, to: noon + .seconds(3 * 86_400))
        let top = try await engine.top(TopQuery(everything, by: .userId, limit: 500)).answer
        #expect(top.items.contains { $0.key == GroupKey(ErasureScanTests.secret) })
    }

    private func letters() async throws -> [[UInt8]] {
        try await broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: 500)).letters.map(\.body)
    }

    private func finish(_ erasures: Erasures, _ id: String) async throws {
        let worker = ErasureWorker(store: store, letters: broker, clock: clock, makeID: .uuid7(clock: clock), logger: quiet)
        for _ in 0..<10 {
            try await worker.pass()
            try await settle()
            advance(by: .seconds(3_700))
            try await settle()
            if try await erasures.erasure(id, of: "default")?.state == .done { return }
        }
        Issue.record("not done: \(String(describing: try await erasures.erasure(id, of: "default")))")
    }

    private func expectGoneFromCache() async throws {
        for (key, value) in cache.everything where [value].hold(ErasureScanTests.secret) {
            try await eventually("the cached answer has ended") { await cache.value(for: key) == .miss }
        }
    }
}

extension MongoStore {
    fileprivate func everything() async throws -> [(collection: CollectionName, bytes: [UInt8])] {
        try await run(.events) { session throws(StoreError) in
            var all: [(collection: CollectionName, bytes: [UInt8])] = []
            for collection in CollectionName.allCases {
                try session.find(collection, [], []) { all.append((collection, $0.identity)) }
            }
            return all
        }
    }

    fileprivate func collectionNames() async throws -> [String] {
        try await run(.events) { session throws(StoreError) in
            try session.command([("listCollections", 1), ("nameOnly", true)], writes: false) { reply in
                let batch = reply["cursor"]?.document?["firstBatch"]?.document
                return batch.map { $0.compactMap { $0.document?["name"]?.string } } ?? []
            }
        }
    }
}
