import AnalyticsCore
import Logging
import Synchronization
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: deciding what is consumed")
struct RabbitMQConsumerRoleTests {
    /// A role with its output, and what it has been told to consume; by reference, for the sake of the test macros.
    private final class Subject {
        private var role: ConsumerRole
        let consumer: QueueConsumer
        private let start = ContinuousClock.now

        init(prefetch: UInt16 = 10, consumedBytes: Int = 1 << 20) {
            var settings = LinkSettings()
            settings.consumedBytes = consumedBytes
            let epochs = Counter()
            consumer = QueueConsumer(demand: { _ in }, acknowledge: { _ in })
            role = ConsumerRole(
                topology: TopologyDeclaration(.standard), prefetch: prefetch, settings: settings, consumer: consumer,
                gauge: ConsumerGauge(), logger: Logger(label: "test"), makeEpoch: epochs.next)
        }

        /// The frames that it sends now.
        func advance() throws -> [UInt8] {
            var output = FrameWriter()
            _ = try role.advance(now: start, output: &output)
            return output.withPending(Array.init)
        }

        /// Asks for a session; returns the frames that it sends for it.
        @discardableResult
        func consume() throws -> [UInt8] {
            role.accept(.consume, now: start)
            return try advance()
        }

        func deliver(_ tag: UInt64, _ frames: [[UInt8]], deliveryCount: Int = 0) throws {
            let header = ContentHeader(bodySize: frames.reduce(0) { $0 + $1.count }, sequence: nil, deliveryCount: deliveryCount)
            try role.receive(.deliver(tag), now: start)
            try role.receive(.header(header), now: start)
            for frame in frames {
                try frame.withUnsafeBytes { try role.receive(.body($0), now: start) }
            }
        }

        func acknowledge(_ handles: [DeliveryHandle]) { role.accept(.acknowledge(handles), now: start) }
        func look(ready: Int, consumers: Int) throws { try role.receive(.queueDeclared(messages: ready, consumers: consumers), now: start) }
        func disconnect() { role.disconnected(BrokerError(.unavailable, "lost"), isRetrying: true) }

        /// Takes `count` deliveries of the next session.
        func take(_ count: Int) async throws -> [Delivery] {
            let taken = Mutex<[Delivery]>([])
            try await consumer.forEachSession { session in
                for await delivery in session {
                    let held = taken.withLock { taken in
                        taken.append(delivery)
                        return taken.count
                    }
                    if held == count { break }
                }
            }
            return taken.withLock { $0 }
        }
    }

    private final class Counter {
        private var last: UInt64 = 0

        func next() -> UInt64 {
            last += 1
            return last
        }
    }

    @Test("Nothing is consumed before somebody asks for it, and on a new connection not before they ask again")
    func waitsForDemand() throws {
        let subject = Subject(prefetch: 258)
        #expect(try subject.advance().isEmpty)
        let frames: [UInt8] =
            [1, 0, 1, 0, 0, 0, 11, 0, 60, 0, 10, 0, 0, 0, 0, 1, 2, 0, 0xCE]
            + [1, 0, 1, 0, 0, 0, 29, 0, 60, 0, 20, 0, 0, 16] + Array("analytics.events".utf8) + [0, 0, 0, 0, 0, 0, 0xCE]
        #expect(try subject.consume() == frames)
        subject.disconnect()
        #expect(try subject.advance().isEmpty)
        #expect(try subject.consume() == frames)
    }

    @Test("A delivery is put together from its frames, and one without a body has none")
    func assembles() async throws {
        let subject = Subject()
        try subject.consume()
        try subject.deliver(1, [[1, 2], [3]])
        try subject.deliver(2, [], deliveryCount: 4)
        let deliveries = try await subject.take(2)
        #expect(deliveries.map(\.body) == [[1, 2, 3], []])
        #expect(deliveries.map(\.redeliveries) == [0, 4])
        #expect(deliveries.map(\.handle.tag) == [1, 2])
    }

    @Test("What a lost connection has delivered is dropped, and its handles name nothing in the next session")
    func dropsWhatIsLost() async throws {
        let subject = Subject()
        try subject.consume()
        try subject.deliver(1, [[1]])
        let lost = DeliveryHandle(epoch: 1, tag: 1)
        subject.disconnect()
        try subject.consume()
        try subject.deliver(1, [[2]])
        subject.acknowledge([lost])
        #expect(try subject.advance().isEmpty)
        let deliveries = try await subject.take(1)
        #expect(deliveries.map(\.body) == [[2]])
        subject.acknowledge(deliveries.map(\.handle))
        #expect(try !subject.advance().isEmpty)
    }

    @Test("A broker that delivers more than the prefetch is left")
    func holdsTheBrokerToThePrefetch() throws {
        let subject = Subject(prefetch: 2)
        try subject.consume()
        try subject.deliver(1, [[1]])
        try subject.deliver(2, [[1]])
        #expect(throws: BrokerError.self) { try subject.deliver(3, [[1]]) }
    }

    @Test("Too many bytes end the connection; the next one asks for half of the deliveries, and the one after for all")
    func boundsBytes() throws {
        let subject = Subject(prefetch: 100, consumedBytes: 1_000)
        let large = [UInt8](repeating: 0, count: 300)
        try subject.consume()
        for tag in 1...3 as ClosedRange<UInt64> { try subject.deliver(tag, [large]) }
        #expect(throws: BrokerError.self) { try subject.deliver(4, [large]) }
        subject.disconnect()
        #expect(try subject.consume()[15...16] == [0, 2])
        try subject.deliver(1, [[UInt8](repeating: 0, count: 5_000)])
        subject.disconnect()
        #expect(try subject.consume()[15...16] == [0, 100])
    }

    @Test("A queue that says it has no consumers has lost this one")
    func noticesThatItIsForgotten() throws {
        let subject = Subject()
        try subject.consume()
        try subject.look(ready: 0, consumers: 1)
        #expect(throws: BrokerError.self) { try subject.look(ready: 0, consumers: 0) }
    }

    @Test("Messages that wait twice in a row while there is room and nothing comes mean that the consumer is lost")
    func noticesAStall() throws {
        let subject = Subject()
        try subject.consume()
        try subject.look(ready: 5, consumers: 1)
        try subject.deliver(1, [[1]])
        try subject.look(ready: 5, consumers: 1)
        try subject.look(ready: 5, consumers: 1)
        #expect(throws: BrokerError.self) { try subject.look(ready: 5, consumers: 1) }
    }

    @Test("A consumer whose prefetch is used up is not lost, however long it holds its deliveries")
    func sitsOutBackpressure() throws {
        let subject = Subject(prefetch: 1)
        try subject.consume()
        try subject.deliver(1, [[1]])
        for _ in 0..<5 { try subject.look(ready: 5, consumers: 1) }
    }
}
