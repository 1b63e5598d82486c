import AnalyticsCore
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: deciding what is consumed")
struct RabbitMQConsumerRoleTests {
    private let start = ContinuousClock.now

    private func consumer(prefetch: UInt16 = 10) -> (role: ConsumerRole, stream: AsyncStream<Delivery>) {
        let (stream, continuation) = AsyncStream.makeStream(of: Delivery.self)
        let role = ConsumerRole(
            topology: TopologyDeclaration(.standard), prefetch: prefetch, settings: LinkSettings(), stream: continuation,
            gauge: ConsumerGauge(), makeEpoch: { 1 })
        return (role, stream)
    }

    private func deliver(_ tag: UInt64, _ frames: [[UInt8]], to role: inout ConsumerRole, deliveryCount: Int = 0) throws {
        let header = ContentHeader(bodySize: frames.reduce(0) { $0 + $1.count }, sequence: nil, deliveryCount: deliveryCount)
        try role.receive(.deliver(tag), now: start)
        try role.receive(.header(header), now: start)
        for frame in frames {
            try frame.withUnsafeBytes { try role.receive(.body($0), now: start) }
        }
    }

    @Test("A delivery is put together from its frames, and one without a body has none")
    func assembles() async throws {
        var (role, stream) = consumer()
        try deliver(1, [[1, 2], [3]], to: &role)
        try deliver(2, [], to: &role, deliveryCount: 4)
        role.finish()
        let deliveries = await stream.reduce(into: []) { $0.append($1) }
        #expect(deliveries.map(\.body) == [[1, 2, 3], []])
        #expect(deliveries.map(\.redeliveries) == [0, 4])
        #expect(deliveries.map(\.handle.tag) == [1, 2])
    }

    @Test("A queue that says it has no consumers has lost this one")
    func noticesThatItIsForgotten() throws {
        var (role, _) = consumer()
        try role.receive(.queueDeclared(messages: 0, consumers: 1), now: start)
        #expect(throws: BrokerError.self) { try role.receive(.queueDeclared(messages: 0, consumers: 0), now: start) }
    }

    @Test("Messages that wait twice in a row while there is room and nothing comes mean that the consumer is lost")
    func noticesAStall() throws {
        var (role, _) = consumer()
        try role.receive(.queueDeclared(messages: 5, consumers: 1), now: start)
        try deliver(1, [[1]], to: &role)
        try role.receive(.queueDeclared(messages: 5, consumers: 1), now: start)
        try role.receive(.queueDeclared(messages: 5, consumers: 1), now: start)
        #expect(throws: BrokerError.self) { try role.receive(.queueDeclared(messages: 5, consumers: 1), now: start) }
    }

    @Test("A consumer whose prefetch is used up is not lost, however long it holds its deliveries")
    func sitsOutBackpressure() throws {
        var (role, _) = consumer(prefetch: 1)
        try deliver(1, [[1]], to: &role)
        for _ in 0..<5 { try role.receive(.queueDeclared(messages: 5, consumers: 1), now: start) }
    }
}
