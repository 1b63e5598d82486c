import Testing

@testable import AnalyticsCore

struct WriteBufferTests {
    private func entry(_ tag: UInt64, events: Int = 1, bytes: Int = 100) -> WriteBuffer.Entry {
        WriteBuffer.Entry(
            handle: DeliveryHandle(epoch: 1, tag: tag), redeliveries: 0,
            sections: [.init(events: (0..<events).map { stored(sample("\(tag)-\($0)")) }, origin: RequestOrigin())], bytes: bytes)
    }

    private func buffer(events: Int = 10, deliveries: Int = 5) -> WriteBuffer {
        WriteBuffer(limits: .init(events: events, deliveries: deliveries, bytes: 10_000, interval: .milliseconds(100)))
    }

    @Test func isFlushedWhenItHoldsEnoughBytes() {
        var buffer = buffer()
        #expect(buffer.add(entry(1, bytes: 9_999), now: .milliseconds(0)) == nil)
        #expect(buffer.add(entry(2, bytes: 1), now: .milliseconds(0))?.count == 2)
        #expect(buffer.add(entry(3, bytes: 9_999), now: .milliseconds(0)) == nil)
    }

    @Test func isFlushedWhenItHoldsEnoughEvents() {
        var buffer = buffer()
        #expect(buffer.add(entry(1, events: 9), now: .milliseconds(0)) == nil)
        #expect(buffer.add(entry(2, events: 3), now: .milliseconds(0))?.map(\.handle.tag) == [1, 2])
        #expect(buffer.drain() == nil)
    }

    @Test func isFlushedWhenItHoldsEnoughDeliveries() {
        var buffer = buffer()
        for tag in 1...4 as ClosedRange<UInt64> { #expect(buffer.add(entry(tag), now: .milliseconds(0)) == nil) }
        #expect(buffer.add(entry(5), now: .milliseconds(0))?.map(\.handle.tag) == [1, 2, 3, 4, 5])
    }

    @Test func isFlushedOnceItsFirstEntryHasWaitedLongEnough() {
        var buffer = buffer()
        #expect(buffer.tick(now: .milliseconds(1_000), isIdle: false) == nil)
        #expect(buffer.add(entry(1), now: .milliseconds(1_000)) == nil)
        #expect(buffer.add(entry(2), now: .milliseconds(1_090)) == nil)
        #expect(buffer.tick(now: .milliseconds(1_099), isIdle: false) == nil)
        #expect(buffer.tick(now: .milliseconds(1_100), isIdle: false)?.count == 2)
        #expect(buffer.tick(now: .milliseconds(9_999), isIdle: false) == nil)
    }

    @Test func isFlushedSoonerWhereNothingElseIsWritten() {
        var buffer = buffer()
        #expect(buffer.tick(now: .milliseconds(1_000), isIdle: true) == nil)
        _ = buffer.add(entry(1), now: .milliseconds(1_000))
        #expect(buffer.tick(now: .milliseconds(1_019), isIdle: true) == nil)
        #expect(buffer.tick(now: .milliseconds(1_020), isIdle: false) == nil)
        #expect(buffer.tick(now: .milliseconds(1_020), isIdle: true)?.count == 1)
    }

    @Test func theClockStartsAnewAfterAFlush() {
        var buffer = buffer(events: 2)
        _ = buffer.add(entry(1), now: .milliseconds(0))
        #expect(buffer.add(entry(2), now: .milliseconds(50)) != nil)
        _ = buffer.add(entry(3), now: .milliseconds(99))
        #expect(buffer.tick(now: .milliseconds(150), isIdle: false) == nil)
        #expect(buffer.tick(now: .milliseconds(199), isIdle: false)?.count == 1)
    }

    @Test func drainsEverythingOnce() {
        var buffer = buffer()
        _ = buffer.add(entry(1), now: .milliseconds(0))
        #expect(buffer.drain()?.count == 1)
        #expect(buffer.drain() == nil)
        #expect(buffer.tick(now: .milliseconds(10_000), isIdle: false) == nil)
    }
}

struct DeadLetterPolicyTests {
    @Test func processesThenSalvagesThenDiscardsByTheAttemptsOfOthers() {
        let steps = (0...16).map(DeadLetterPolicy.step(after:))
        #expect(steps == Array(repeating: .process, count: 10) + Array(repeating: .salvage, count: 5) + [.discard, .discard])
    }
}
