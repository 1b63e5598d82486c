import AnalyticsCore
import Logging
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: deciding what of the dead letters is read")
struct RabbitMQDeadLetterReaderRoleTests {
    private final class Answers: Sendable {
        let list = Mutex<[Result<DeadLetterReaderRole.Outcome, BrokerError>]>([])
    }

    /// A role with what it has answered; by reference, for the sake of the test macros.
    private final class Subject {
        private var role: DeadLetterReaderRole
        private let answers = Answers()
        private let start = Instant.now

        init(waiting: Int, letters: Int = 3, bytes: Int = 100) throws {
            role = DeadLetterReaderRole(
                topology: TopologyDeclaration(.standard), deadline: start + .seconds(10),
                pass: DeadLetterReading(DeadLetterLimit(letters: letters, bytes: bytes))
            ) { [answers] result in answers.list.withLock { $0.append(result) } }
            try role.begin(waiting: waiting)
        }

        /// The frames that it sends now.
        @discardableResult
        func advance(at time: Duration = .zero) throws -> [UInt8] {
            var output = FrameWriter()
            _ = try role.advance(now: start + time, output: &output)
            return output.withPending(Array.init)
        }

        func deliver(_ size: Int, sending: Int? = nil) throws {
            try role.receive(.deliver(1), now: start)
            try role.receive(.header(ContentHeader(bodySize: size, sequence: nil, deliveryCount: 0)), now: start)
            guard sending ?? size > 0 else { return }
            try [UInt8](repeating: 1, count: sending ?? size).withUnsafeBytes { try role.receive(.body($0), now: start) }
        }

        func receive(_ frame: Frame) throws { try role.receive(frame, now: start) }
        func begin(waiting: Int) throws { try role.begin(waiting: waiting) }
        func disconnect() { role.disconnected(BrokerError(.unavailable, "lost"), isRetrying: true) }

        /// Sizes of the letters, as often as it has answered.
        var sizes: [[Int]?] {
            answers.list.withLock { answers in
                answers.map { answer in (try? answer.get())?.page.page(hasMore: false).letters.map(\.size) }
            }
        }
    }

    @Test("It takes the whole window, however few letters are asked for")
    func takesTheWindow() throws {
        let subject = try Subject(waiting: 100, letters: 1)
        #expect(try subject.advance()[15...16] == [1, 244], "500")
        #expect(try subject.advance().isEmpty)
    }

    @Test("Of an empty queue nothing is consumed")
    func emptyQueue() throws {
        let subject = try Subject(waiting: 0)
        #expect(try subject.advance().isEmpty)
        #expect(subject.sizes == [[]])
    }

    @Test("It answers once: when the page is full, when all that waited has come, or before the letter that has no room")
    func answersOnce() throws {
        for (waiting, sizes, expected) in [
            (9, [1, 0, 3, 4, 5], [1, 0, 3]), (2, [7, 8, 9], [7, 8]), (9, [60, 41, 1], [60]), (3, [60, 101, 40], [60, 101, 40]),
        ] {
            let subject = try Subject(waiting: waiting)
            try subject.advance()
            for size in sizes { try subject.deliver(size) }
            try subject.advance(at: .seconds(11))
            subject.disconnect()
            #expect(subject.sizes == [expected])
        }
    }

    @Test("A connection that breaks in the middle of a letter is an error, and nothing of it is in another page")
    func breaks() throws {
        let subject = try Subject(waiting: 3)
        try subject.advance()
        try subject.deliver(5)
        try subject.deliver(50, sending: 20)
        subject.disconnect()
        #expect(subject.sizes == [nil])
        try subject.begin(waiting: 3)
        #expect(try subject.advance().isEmpty, "nobody waits for it any more")
        try subject.deliver(5)
        #expect(subject.sizes == [nil])
    }

    @Test("Letters that do not come in time, and a queue that goes, are errors")
    func endsInTime() throws {
        let late = try Subject(waiting: 3)
        try late.advance()
        try late.deliver(5)
        try late.advance(at: .seconds(9))
        #expect(late.sizes.isEmpty)
        try late.advance(at: .seconds(10))
        #expect(late.sizes == [nil])
        let gone = try Subject(waiting: 3)
        try gone.advance()
        #expect(throws: BrokerError.self) { try gone.receive(.consumerCancelled) }
    }
}

@Suite("RabbitMQ: reading dead letters from a broker that works", .enabled(if: rabbitMQURL != nil), .timeLimit(.minutes(2)))
struct RabbitMQDeadLetterReaderTests {
    private let url = rabbitMQURL ?? ""

    @Test("Of more letters than a window holds the oldest are read, again and again, and all stay")
    func readsALongQueue() async throws {
        try await withRabbitMQ(url) { broker, _ in
            let bodies = (0..<1_300).map { body($0) }
            for start in stride(from: 0, to: bodies.count, by: 100) {
                _ = await broker.publish(bodies[start..<start + 100].map(message), to: .deadLetters)
            }
            for letters in [500, 10, 500, 499] {
                let page = try await broker.deadLetters(after: nil, limit: DeadLetterLimit(letters: letters))
                #expect(page.letters.map(\.body) == Array(bodies.prefix(letters)) && page.hasMore)
            }
            try await expectDepths(broker, ready: 0, unacknowledged: 0, dead: 1_300)
        }
    }

    @Test("A reader that vanishes in the middle takes nothing along and leaves the order as it was")
    func survivesABrokenReader() async throws {
        try await withRabbitMQ(url) { broker, names in
            let bodies = (0..<40).map { number in body(number) + Array(repeating: 32, count: 50_000) }
            #expect(await broker.publish(bodies.map(message), to: .deadLetters).allSatisfy { $0 == .confirmed })
            try vanish(from: names)
            try await expectDepths(broker, ready: 0, unacknowledged: 0, dead: 40)
            let page = try await broker.deadLetters(after: nil, limit: DeadLetterLimit())
            #expect(page.letters.map(\.body) == bodies)
        }
    }

    /// Consumes as a reader does, and ends without a goodbye in the middle of what comes.
    private func vanish(from names: Topology) throws {
        let connection = try rabbitMQConnection(to: url)
        connection.output.consume(queue: names.deadLetters, prefetch: DeadLetterReaderRole.window)
        try connection.flush()
        var received = 0
        while received < 300_000 {
            connection.wait(for: -1, until: .now + .seconds(1))
            try connection.read { frame in if case .body(let bytes) = frame { received += bytes.count } }
        }
    }

    @Test("While another process reads, a reading waits, and says so when that takes too long")
    func waitsForAnotherReader() async throws {
        try await withRabbitMQ(url) {
            $0.replyTimeout = .seconds(2)
        } _: { broker, names in
            #expect(await broker.publish([message(body(1))], to: .deadLetters) == [.confirmed])
            do {
                let other = try rabbitMQConnection(to: url)
                #expect(try other.declareExclusiveQueue("\(names.deadLetters).reader"))
                let error = await #expect(throws: BrokerError.self) { try await broker.deadLetters(after: nil, limit: DeadLetterLimit()) }
                #expect(error?.code == .owned)
            }
            try await eventually("the other one is gone") {
                (try? await broker.deadLetters(after: nil, limit: DeadLetterLimit()))?.letters.map(\.body) == [body(1)]
            }
        }
    }

    @Test("Where nobody listens, reading says so at once")
    func reportsAnAbsentBroker() async throws {
        let broker = try RabbitMQBroker(url: "amqp://127.0.0.1:1", logger: .init(label: "test"))
        let error = await #expect(throws: BrokerError.self) { try await broker.deadLetters(after: nil, limit: DeadLetterLimit()) }
        #expect(error?.code == .unavailable)
        await broker.shutdown()
    }
}
