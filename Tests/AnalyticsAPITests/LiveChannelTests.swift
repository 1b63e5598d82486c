import AnalyticsCore
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI

/// It is noon; the newest second that is told began two seconds before.
struct LiveChannelTests {
    private static let newest = noon.milliseconds / 1_000 - 2

    private struct Listener {
        let chunks: AsyncStream<ByteBuffer>
        let sink: AsyncStream<ByteBuffer>.Continuation

        init(_ capacity: Int = LiveChannel.held) {
            (chunks, sink) = AsyncStream<ByteBuffer>.makeStream(bufferingPolicy: .bufferingOldest(capacity))
        }

        /// What it was sent, as seconds from ``newest``.
        func seconds() async -> [Int64] {
            sink.finish()
            var seconds: [Int64] = []
            for await bytes in chunks { seconds.append(Int64(String(buffer: bytes))! - newest) }
            return seconds
        }
    }

    /// Tells all that is due at a time. Returns it, as seconds from ``newest``.
    @discardableResult
    private static func tell(_ channel: inout LiveChannel, at seconds: Int = 0, events: Int64 = 1) -> [Int64] {
        let now = noon + .seconds(seconds)
        var told: [Int64] = []
        while let second = channel.due(at: now), told.count < 1_000 {
            told.append(second - newest)
            _ = channel.add(second, .init(bytes: ByteBuffer(string: String(second)), events: events), at: now)
        }
        return told
    }

    @Test func eachSecondIsToldOnceToAllWhileSomebodyListens() async {
        var channel = LiveChannel()
        #expect(channel.due(at: noon) == nil)
        let (first, second) = (Listener(), Listener())
        channel.join(1, first.sink, after: nil, at: noon)
        #expect(Self.tell(&channel) == [0] && Self.tell(&channel) == [])
        // Who comes later sees the newest second at once.
        channel.join(2, second.sink, after: nil, at: noon + .milliseconds(900))
        #expect(Self.tell(&channel, at: 1) == [1] && Self.tell(&channel, at: 4) == [2, 3, 4])
        #expect(await first.seconds() == [0, 1, 2, 3, 4])
        #expect(await second.seconds() == [0, 1, 2, 3, 4])
        #expect(channel.leave(1) && !channel.leave(1) && channel.leave(2))
        #expect(Self.tell(&channel, at: 5) == [] && channel.isIdle)
    }

    @Test func whoComesBackMissesNothingAndGetsNothingTwice() async {
        var channel = LiveChannel()
        let other = Listener(10_000)
        channel.join(0, other.sink, after: nil, at: noon)
        for second in 0...40 { Self.tell(&channel, at: second) }
        for (number, last) in [-5, 0, 1, 20, 39, 40, 41].enumerated() {
            let now = noon + .seconds(40)
            let listener = Listener()
            channel.join(number + 1, listener.sink, after: Self.newest + Int64(last), at: now)
            for second in 40...43 { Self.tell(&channel, at: second) }
            // The seconds before the first that was told are asked for.
            #expect(await listener.seconds() == Array(Int64(last) + 1..<44), "\(last)")
            channel = LiveChannel()
            channel.join(0, other.sink, after: nil, at: noon)
            for second in 0...40 { Self.tell(&channel, at: second) }
        }
    }

    @Test func anotherProcessFillsInWhatTheFirstHasNotTold() async {
        var channel = LiveChannel()
        let listener = Listener()
        channel.join(1, listener.sink, after: Self.newest - 30, at: noon)
        #expect(Self.tell(&channel) == Array(-29...0))
        #expect(await listener.seconds() == Array(-29...0))
    }

    @Test func oneMinuteIsKept() async {
        var channel = LiveChannel()
        let (steady, late, absurd) = (Listener(1_000), Listener(), Listener())
        channel.join(1, steady.sink, after: nil, at: noon)
        for second in 0...200 { Self.tell(&channel, at: second) }
        channel.join(2, late.sink, after: Self.newest, at: noon + .seconds(200))
        // No clock of ours can have told that.
        channel.join(3, absurd.sink, after: .max - 1, at: noon + .seconds(200))
        Self.tell(&channel, at: 201)
        #expect(await late.seconds() == Array(141...201))
        #expect(await absurd.seconds() == [200, 201])
        #expect(await steady.seconds() == Array(0...201))
    }

    /// The store was away for two minutes.
    @Test func whatIsOlderThanAMinuteIsNotToldAnyMore() async {
        var channel = LiveChannel()
        let listener = Listener(1_000)
        channel.join(1, listener.sink, after: nil, at: noon)
        Self.tell(&channel)
        #expect(Self.tell(&channel, at: 120) == Array(61...120))
        #expect(await listener.seconds() == [0] + Array(61...120))
    }

    /// By a minute and a half. What is told twice is told under its own number.
    @Test func aClockThatWasSetBackIsFollowed() async {
        var channel = LiveChannel()
        let listener = Listener(1_000)
        channel.join(1, listener.sink, after: nil, at: noon)
        for second in 0...100 { Self.tell(&channel, at: second) }
        #expect(Self.tell(&channel, at: 10) == [10] && Self.tell(&channel, at: 12) == [11, 12])
        #expect(await listener.seconds() == Array(0...100) + [10, 11, 12])
    }

    @Test func aReaderWithoutRoomIsDroppedAndTheOthersAreNot() async {
        var channel = LiveChannel()
        let (slow, quick) = (Listener(3), Listener())
        channel.join(1, slow.sink, after: nil, at: noon)
        channel.join(2, quick.sink, after: nil, at: noon)
        var left: [Int] = []
        for second in 0..<6 as Range<Int64> {
            let now = noon + .seconds(second)
            let due = channel.due(at: now)
            #expect(due == Self.newest + second)
            left += channel.add(due!, .init(bytes: ByteBuffer(string: String(due!)), events: 1), at: now)
        }
        #expect(left == [1] && !channel.leave(1))
        #expect(await slow.seconds() == [0, 1, 2])
        #expect(await quick.seconds() == [0, 1, 2, 3, 4, 5])
        _ = channel.leave(2)
        let full = Listener(1)
        channel.join(3, full.sink, after: Self.newest + 50, at: noon + .seconds(5))
        #expect(channel.send(ByteBuffer(string: ":")).isEmpty && channel.send(ByteBuffer(string: ":")) == [3])
    }

    @Test func theRateIsTheMeanOfTheLastTenSeconds() {
        var channel = LiveChannel()
        let listener = Listener(1_000)
        defer { withExtendedLifetime(listener) {} }
        channel.join(1, listener.sink, after: nil, at: noon)
        #expect(channel.rate(of: Self.newest, 7) == 7)
        for second in 0..<20 { Self.tell(&channel, at: second, events: Int64(second)) }
        // 11, 12, …, 19 and 120.
        #expect(channel.rate(of: Self.newest + 20, 120) == 25.5)
    }
}
