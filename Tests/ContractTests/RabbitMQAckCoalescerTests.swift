import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: coalescing acknowledgements")
struct RabbitMQAckCoalescerTests {
    private typealias Ack = AckCoalescer.Acknowledgement

    private func coalescer(_ count: Int) -> AckCoalescer {
        var coalescer = AckCoalescer()
        for _ in 0..<count { coalescer.delivered() }
        return coalescer
    }

    @Test("A complete prefix is one acknowledgement, whatever the order of its parts")
    func coalescesThePrefix() {
        var coalescer = coalescer(5)
        for tag: UInt64 in [3, 1, 2] { coalescer.acknowledge(tag) }
        #expect(coalescer.flush() == [Ack(tag: 3, multiple: true)])
        #expect(coalescer.flush() == [])
        #expect(coalescer.outstanding == 2)
    }

    @Test("What lies beyond a gap is acknowledged at once, and not again with the prefix")
    func skipsTheGap() {
        var coalescer = coalescer(4)
        coalescer.acknowledge(2)
        coalescer.acknowledge(4)
        #expect(coalescer.flush() == [Ack(tag: 2, multiple: false), Ack(tag: 4, multiple: false)])
        coalescer.acknowledge(1)
        #expect(coalescer.flush() == [Ack(tag: 1, multiple: true)])
        coalescer.acknowledge(3)
        #expect(coalescer.flush() == [Ack(tag: 3, multiple: true)])
        #expect(coalescer.outstanding == 0)
    }

    @Test("Tags that are unknown or done already are passed over: the broker would close the channel")
    func passesOver() {
        var coalescer = coalescer(2)
        for tag: UInt64 in [0, 3, .max, 1, 1] { coalescer.acknowledge(tag) }
        #expect(coalescer.flush() == [Ack(tag: 1, multiple: true)])
        coalescer.acknowledge(1)
        #expect(coalescer.flush() == [])
        #expect(coalescer.outstanding == 1)
    }

    @Test("In any order, the broker gets each tag once, and a multiple only for one that it still waits for", arguments: 0..<50)
    func agreesWithABroker(_ seed: UInt64) {
        var random = Seeded(seed)
        var coalescer = AckCoalescer()
        var delivered: UInt64 = 0
        var unacknowledged: Set<UInt64> = []
        var broker: Set<UInt64> = []
        for _ in 0..<400 {
            if Int.random(in: 0..<10, using: &random) == 0 {
                delivered += 1
                coalescer.rejected()
            } else if unacknowledged.count < 20 && Bool.random(using: &random) {
                delivered += 1
                coalescer.delivered()
                unacknowledged.insert(delivered)
                broker.insert(delivered)
            } else if let tag = unacknowledged.sorted().randomElement(using: &random) {
                unacknowledged.remove(tag)
                coalescer.acknowledge(tag)
            }
            guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
            for ack in coalescer.flush() {
                #expect(broker.contains(ack.tag))
                broker = broker.filter { ack.multiple ? $0 > ack.tag : $0 != ack.tag }
            }
            #expect(broker == unacknowledged)
            #expect(coalescer.outstanding == unacknowledged.count)
        }
    }
}
