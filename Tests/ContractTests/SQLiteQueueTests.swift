import AnalyticsCore
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsEmbedded

@Suite("SQLite queue", .timeLimit(.minutes(2)))
struct SQLiteQueueTests {
    @Test("A process killed with messages in hand leaves them counted as delivered")
    func countsBeforeHandingOut() async throws {
        try await withQueueFolder { folder in
            let queue = try open(folder)
            _ = await queue.publish((0..<5).map { message(body($0)) }, to: .events)
            let consumer = DeliveryCollector(queue, prefetch: 3)
            let deliveries = try await consumer.first(3)
            consumer.acknowledge([deliveries[1]])
            try await consumer.first(4)

            // What kill -9 leaves: the file and its log as they are now.
            let copy = folder.appending(path: "killed")
            try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
            for name in ["queue.sqlite", "queue.sqlite-wal"] {
                try FileManager.default.copyItem(at: folder.appending(path: name), to: copy.appending(path: name))
            }
            let next = try open(copy)
            #expect(try await next.depths() == QueueDepths(ready: 4, unacknowledged: 0, dead: 0))
            let survivor = DeliveryCollector(next, prefetch: 10)
            let again = try await survivor.first(4)
            #expect(again.map(\.body) == [0, 2, 3, 4].map(body))
            #expect(again.map(\.redeliveries) == [1, 1, 1, 0])
            // A handle from before the restart names nothing.
            survivor.acknowledge(deliveries)
            try await expectDepths(next, ready: 0, unacknowledged: 4)
            await next.shutdown()
            await queue.shutdown()
        }
    }

    @Test("What comes back goes out again ahead of what is younger")
    func returnsToTheHead() async throws {
        try await withQueueFolder { folder in
            let queue = try open(folder)
            _ = await queue.publish((0..<4).map { message(body($0)) }, to: .events)
            let first = DeliveryCollector(queue, prefetch: 2)
            try await first.first(2)
            await first.stop()
            let second = DeliveryCollector(queue, prefetch: 10)
            let deliveries = try await second.first(4)
            #expect(deliveries.map(\.body) == (0..<4).map(body))
            #expect(deliveries.map(\.redeliveries) == [1, 1, 0, 0])
            await queue.shutdown()
        }
    }

    @Test("A file that is open cannot be opened again")
    func excludesASecondProcess() async throws {
        try await withQueueFolder { folder in
            let queue = try open(folder)
            let error = #expect(throws: BrokerError.self) { try open(folder) }
            #expect(error?.code == .misconfigured)
            await queue.shutdown()
            await (try open(folder)).shutdown()
        }
    }

    @Test("A full file refuses publishes, still lets what it holds be worked off, and then takes more")
    func survivesAFullFile() async throws {
        try await withQueueFolder { folder in
            var limits = SQLiteQueue.Limits()
            limits.fileBytes = 1 << 20
            let queue = try open(folder, limits: limits)
            let large = message([UInt8](repeating: 7, count: 100_000))
            var confirmed = 0
            while await queue.publish([large], to: .events) == [.confirmed] { confirmed += 1 }
            #expect((5...10).contains(confirmed))
            var small = 0
            while await queue.publish([message([UInt8](repeating: 7, count: 4000))], to: .deadLetters) == [.confirmed] { small += 1 }
            #expect(small < 50)
            let error = await #expect(throws: BrokerError.self) { try await queue.checkHealth() }
            #expect(error?.code == .unavailable)
            // Two calls that fail together are each told so.
            #expect(await queue.publish([large, large], to: .deadLetters).allSatisfy { $0 != .confirmed })

            let consumer = DeliveryCollector(queue, prefetch: 3)
            try await acknowledgeAll(consumer, count: confirmed)
            try await eventually("there is room again") { await queue.publish([large], to: .events) == [.confirmed] }
            try await queue.checkHealth()
            try await consumer.first(confirmed + 1)
            #expect(consumer.bodies.allSatisfy { $0 == large.body })
            await queue.shutdown()
        }
    }

    /// It would wait for the write, and the disk may hang for ever.
    @Test("Behind a write that hangs nothing is read, and both calls say why at once")
    func refusesToReadBehindAHangingWrite() async throws {
        try await withQueueFolder { folder in
            let queue = try open(folder)
            _ = await queue.publish([message(body(1))], to: .deadLetters)
            try await eventually("nothing is written") { queue.state.withLock { !$0.isWriting } }
            // As the worker does when it begins a write, and its watchdog when that does not end.
            queue.state.withLock { state in
                state.shrunk(more: true)
                _ = state.nextStep(handoutLimit: 1, settles: true)
                _ = state.health.failed(.append, "no commit", at: .now)
            }
            let error = await #expect(throws: BrokerError.self) { try await queue.deadLetters(after: nil, limit: DeadLetterLimit()) }
            #expect(error?.code == .unavailable && error?.message == "no commit")
            await #expect(throws: BrokerError.self) { try await queue.checkHealth() }
            queue.state.withLock { _ = $0.health.succeeded(.append) }
            #expect(try await queue.deadLetters(after: nil, limit: DeadLetterLimit()).letters.map(\.body) == [body(1)])
            await queue.shutdown()
        }
    }

    @Test("Publishes beyond what may wait for a commit are refused, and do not arrive")
    func boundsWhatWaits() async throws {
        try await withQueueFolder { folder in
            var limits = SQLiteQueue.Limits()
            limits.pendingMessages = 10
            limits.pendingBytes = 1000
            let queue = try open(folder, limits: limits)
            let outcomes = await queue.publish((0..<11).map { message(body($0)) }, to: .events)
            #expect(outcomes == Array(repeating: .unconfirmed(SQLiteQueue.State.fullReason), count: 11))
            #expect(await queue.publish([message([UInt8](repeating: 1, count: 1001))], to: .events) != [.confirmed])
            #expect(await queue.publish((0..<10).map { message(body($0)) }, to: .events).allSatisfy { $0 == .confirmed })
            try await expectDepths(queue, ready: 10, unacknowledged: 0)
            await queue.shutdown()
        }
    }

    @Test("Large messages are handed out a few at a time, and no more while many bytes wait to be taken; each comes once, in its order")
    func boundsWhatIsHandedOut() async throws {
        try await withQueueFolder { folder in
            var limits = SQLiteQueue.Limits()
            limits.handoutBytes = 2_500
            limits.waitingBytes = 4_000
            let queue = try open(folder, limits: limits)
            let bodies = (0..<40).map { [UInt8](repeating: UInt8($0), count: $0 == 20 ? 9_000 : 1_000) }
            #expect(await queue.publish(bodies.map(message), to: .events).allSatisfy { $0 == .confirmed })
            try await queue.withConsumer(prefetch: 100) { consumer in
                try await consumer.forEachSession { session in
                    var taken: [Delivery] = []
                    // Handouts of three while less than 4,000 bytes wait: the first two. Nothing more before something is acknowledged.
                    try? await eventually("two handouts") { session.bytesWaiting == 6_000 }
                    var mostWaiting = 0
                    for await delivery in session {
                        mostWaiting = Swift.max(mostWaiting, session.bytesWaiting)
                        taken.append(delivery)
                        session.acknowledge([delivery.handle])
                        if taken.count == 40 { break }
                    }
                    #expect(taken.map(\.body) == bodies)
                    #expect(taken.allSatisfy { $0.redeliveries == 0 })
                    #expect(mostWaiting < 4_000 + 2_500 + 9_000)
                }
            }
            try await expectDepths(queue, ready: 0, unacknowledged: 0)
            await queue.shutdown()
        }
    }

    @Test("The space of a backlog is given back once it is worked off")
    func shrinks() async throws {
        try await withQueueFolder { folder in
            let queue = try open(folder)
            let large = message([UInt8](repeating: 7, count: 1 << 20))
            for _ in 0..<16 { #expect(await queue.publish([large, large, large], to: .events) == [.confirmed, .confirmed, .confirmed]) }
            try await eventually("the file has grown") { size(folder) > 25 << 20 }
            let consumer = DeliveryCollector(queue, prefetch: 10)
            try await acknowledgeAll(consumer, count: 48)
            try await eventually("the file has shrunk") { size(folder) < 18 << 20 }
            await queue.shutdown()
        }
    }

    @Test("After shutdown deliveries end, publishes are unconfirmed, and nothing is lost")
    func closes() async throws {
        try await withQueueFolder { folder in
            let queue = try open(folder)
            let consumer = DeliveryCollector(queue, prefetch: 1)
            #expect(await queue.publish([message(body(1)), message(body(2))], to: .events) == [.confirmed, .confirmed])
            consumer.acknowledge(try await consumer.first(1))
            await queue.shutdown()
            await consumer.waitForEnd()
            #expect(await queue.publish([message(body(3))], to: .events) == [.unconfirmed(SQLiteQueue.State.closedReason)])
            await #expect(throws: BrokerError.self) { try await queue.depths() }
            await #expect(throws: BrokerError.self) { try await queue.checkHealth() }
            let late = DeliveryCollector(queue, prefetch: 1)
            await late.waitForEnd()
            #expect(late.sessions.isEmpty)
            await queue.shutdown()

            let next = try open(folder)
            try await expectDepths(next, ready: 1, unacknowledged: 0)
            await next.shutdown()
        }
    }

    @Test("A path that cannot be used is misconfigured", arguments: ["/nowhere/queue.sqlite", "/dev/null", "/proc/version"])
    func refusesBadPaths(_ path: String) async throws {
        let error = #expect(throws: BrokerError.self) { try SQLiteQueue(path: path, logger: Logger(label: "test")) }
        #expect(error?.code == .misconfigured)
    }
}

private func open(_ folder: URL, limits: SQLiteQueue.Limits = .init()) throws -> SQLiteQueue {
    try SQLiteQueue(path: folder.appending(path: "queue.sqlite").path, limits: limits, logger: Logger(label: "test"))
}

private func size(_ folder: URL) -> Int {
    (try? folder.appending(path: "queue.sqlite").resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
}

private func withQueueFolder(_ body: (URL) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "queue-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder)
}
