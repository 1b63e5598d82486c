import TestSupport
import Testing

@testable import AnalyticsCore

/// What every broker promises of reading its dead letters.
@Suite("Broker contract: reading dead letters", .timeLimit(.minutes(3)))
struct DeadLetterContractTests {
    private static let bodies: [[UInt8]] = [
        Array("{\"a\":\"e\u{301}\u{600}\u{200D}🇦\"}".utf8), [], [0], Array(0...255), Array(repeating: 7, count: 1 << 20), Array("}{".utf8),
        letter("first"),
    ]

    private static func letter(_ id: String) -> [UInt8] {
        DeadLetter(
            reason: .undecodable, error: "e\u{301}\"", attempts: 3, at: Timestamp(milliseconds: 5), project: "p", eventId: id,
            original: Array(id.utf8)
        ).message().body
    }

    @Test("An empty queue gives an empty page", arguments: BrokerBackend.available)
    func readsNothing(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit())
            #expect(page == DeadLetterPage())
        }
    }

    @Test("What was published is read back byte for byte, in order, decoded where it can be", arguments: BrokerBackend.available)
    func readsTheExactBytes(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            #expect(await subject.broker.publish(Self.bodies.map(message), to: .deadLetters).allSatisfy { $0 == .confirmed })
            let page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit())
            #expect(page.letters.map(\.body) == Self.bodies)
            #expect(page.letters.map(\.size) == Self.bodies.map(\.count))
            #expect(!page.hasMore && page.next == nil)
            let read = page.letters.compactMap { try? $0.content.get() }
            #expect(read.map(\.eventId) == ["first"] && read.first?.original == Array("first".utf8))
            #expect(page.letters.first?.content == .failure(DeadLetterError("no version")))
        }
    }

    @Test("Reading changes nothing, however much or little is read at a time", arguments: BrokerBackend.available)
    func changesNothing(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let bodies = (0..<30).map { Self.letter("\($0)") }
            _ = await subject.broker.publish(bodies.map(message), to: .deadLetters)
            for letters in [5, 1, 30, 5, 12, 30, 1, 100] {
                let page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: letters))
                #expect(page.letters.map(\.body) == Array(bodies.prefix(letters)), "\(letters)")
                #expect(page.hasMore == (letters < 30))
                // At once: the letters are back when the call returns.
                #expect(try await subject.broker.depths() == QueueDepths(ready: 0, unacknowledged: 0, dead: 30))
            }
            try await subject.reopen()
            let page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit())
            #expect(page.letters.map(\.body) == bodies)
        }
    }

    @Test("All letters are back in the queue when a reading returns, however many it took", arguments: BrokerBackend.available)
    func returnsAllOfMany(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let bodies = (0..<480).map { Self.letter("\($0)" + String(repeating: "x", count: 2_000)) }
            #expect(await subject.broker.publish(bodies.map(message), to: .deadLetters).allSatisfy { $0 == .confirmed })
            // So that the question below costs no new connection.
            _ = try await subject.broker.depths()
            for _ in 0..<10 {
                _ = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: 500))
                #expect(try await subject.broker.depths().dead == bodies.count)
            }
        }
    }

    @Test("A page is bounded in bytes; a letter larger than a page is listed with its size", arguments: BrokerBackend.available)
    func isBoundedInBytes(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let sizes = [100, 200, 3_000, 700, 1]
            _ = await subject.broker.publish(sizes.map { message(Array(repeating: 1, count: $0)) }, to: .deadLetters)
            let page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit(bytes: 1_000))
            #expect(page.letters.map(\.size) == [100, 200, 3_000, 700])
            #expect(page.letters.map(\.body.count) == [100, 200, 0, 700] && page.hasMore)
            #expect(page.letters[2].content == .failure(DeadLetterError("3000 bytes are more than the 1000 that are read at a time")))
            let short = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit(bytes: 299))
            #expect(short.letters.map(\.size) == [100] && short.hasMore)
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 0, dead: 5)
        }
    }

    @Test("Where there are positions, pages follow one another; elsewhere none is given and none taken", arguments: BrokerBackend.available)
    func goesOnBehindAPosition(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let bodies = (0..<7).map { Self.letter("\($0)") }
            _ = await subject.broker.publish(bodies.map(message), to: .deadLetters)
            var page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: 3))
            guard backend != .rabbitmq else {
                #expect(page.next == nil && page.hasMore)
                await #expect(throws: BrokerError.self) {
                    try await subject.broker.deadLetters(after: DeadLetterPosition(text: "3"), limit: DeadLetterLimit())
                }
                return
            }
            var read = page.letters
            while let next = page.next {
                page = try await subject.broker.deadLetters(after: next, limit: DeadLetterLimit(letters: 3))
                read += page.letters
            }
            #expect(read.map(\.body) == bodies)
            for wrong in ["", "x", "-1", "9223372036854775808"] {
                await #expect(throws: BrokerError.self) {
                    try await subject.broker.deadLetters(after: DeadLetterPosition(text: wrong), limit: DeadLetterLimit())
                }
            }
        }
    }

    @Test("What is published while others read is not lost, and readings do not disturb each other", arguments: BrokerBackend.available)
    func readsBesideAPublisher(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let broker = subject.broker
            let first = (0..<20).map { Self.letter("\($0)") }
            _ = await broker.publish(first.map(message), to: .deadLetters)
            async let published = publish(20..<60, to: broker)
            try await withThrowingTaskGroup(of: DeadLetterPage.self) { group in
                for _ in 0..<3 { group.addTask { try await broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: 20)) } }
                for try await page in group { #expect(page.letters.map(\.body) == first) }
            }
            let later = await published
            let page = try await broker.deadLetters(after: nil, limit: DeadLetterLimit())
            #expect(page.letters.map(\.body) == first + later && later.count == 40)
        }
    }

    /// Returns those that were confirmed.
    private func publish(_ numbers: Range<Int>, to broker: any Broker) async -> [[UInt8]] {
        var confirmed: [[UInt8]] = []
        for body in numbers.map({ Self.letter("\($0)") }) where await broker.publish([message(body)], to: .deadLetters) == [.confirmed] {
            confirmed.append(body)
        }
        return confirmed
    }

    @Test(
        "A reading that is cancelled, or a broker that is closed, ends with an error and takes nothing", arguments: BrokerBackend.available)
    func endsWhenClosed(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            let broker = subject.broker
            let bodies = (0..<10).map { Self.letter("\($0)") }
            _ = await broker.publish(bodies.map(message), to: .deadLetters)
            let reading = Task { try await broker.deadLetters(after: nil, limit: DeadLetterLimit()) }
            reading.cancel()
            _ = await reading.result
            try await subject.reopen()
            await #expect(throws: BrokerError.self) { try await broker.deadLetters(after: nil, limit: DeadLetterLimit()) }
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 0, dead: 10)
            #expect(try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit()).letters.map(\.body) == bodies)
        }
    }

    @Test("A reading ends at its caller's deadline", arguments: BrokerBackend.available)
    func endsAtTheDeadline(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            _ = await subject.broker.publish([message(Self.letter("a"))], to: .deadLetters)
            let started = ContinuousClock.now
            await #expect(throws: BrokerError.self) {
                try await Deadline.within(.zero) { () throws(BrokerError) in
                    try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit())
                }
            }
            #expect(ContinuousClock.now - started < .seconds(15))
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 0, dead: 1)
        }
    }

    private static func refused(_ event: String) -> [UInt8] {
        DeadLetter(
            reason: .refused, error: "no", attempts: 1, at: Timestamp(milliseconds: 5), project: "p", eventId: event,
            original: Array(#"{"id":"\#(event)"}"#.utf8)
        ).message().body
    }

    @Test("Letters of erased events are deleted, all others stay as they are and in their order", arguments: BrokerBackend.available)
    func erases(_ backend: BrokerBackend) async throws {
        try await withBroker(backend) { subject in
            #expect(try await subject.broker.eraseDeadLetters { _ in true } == DeadLetterErasure())
            let letters = (0..<700).map { $0.isMultiple(of: 7) ? Self.letter("\($0)") : Self.refused("\($0)") }
            #expect(await subject.broker.publish(letters.map(message), to: .deadLetters).allSatisfy { $0 == .confirmed })
            @Sendable func isErased(_ id: String?) -> Bool { id.flatMap { Int($0) }.map { $0 % 3 == 0 } ?? false }
            // Whole deliveries are not looked into.
            let kept = letters.indices.filter { $0.isMultiple(of: 7) || !$0.isMultiple(of: 3) }
            let erasure = try await subject.broker.eraseDeadLetters { isErased($0.eventId) }
            #expect(erasure == DeadLetterErasure(erased: 700 - kept.count, unread: 100))
            #expect(try await subject.broker.depths() == QueueDepths(ready: 0, unacknowledged: 0, dead: kept.count))
            #expect(try await subject.broker.eraseDeadLetters { isErased($0.eventId) } == DeadLetterErasure(erased: 0, unread: 100))
            try await subject.broker.overwriteDeleted()
            let page = try await subject.broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: 500))
            #expect(page.letters.map(\.body) == kept.prefix(500).map { letters[$0] })
            try await subject.reopen()
            try await expectDepths(subject.broker, ready: 0, unacknowledged: 0, dead: kept.count)
        }
    }
}
