import Testing

@testable import AnalyticsAPI

@Suite struct ConnectionPaceTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int64(seconds * 1000)) }

    private func pace() -> ConnectionPace {
        let limits = ConnectionPace.Limits(
            headers: .seconds(8), body: .seconds(8), bodyBytesPerSecond: 1000, keepAlive: .seconds(75), answer: .seconds(10),
            answerBytes: 1000, rest: .seconds(2))
        return ConnectionPace(limits: limits, now: start)
    }

    @Test func `headers must be there in time, however they trickle`() {
        var pace = pace()
        #expect(pace.deadline == at(8))
        pace.receivedBytes(at: at(1))
        pace.receivedBytes(at: at(7))
        #expect(pace.deadline == at(8))
    }

    @Test func `a body gets more time as it grows`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        #expect(pace.deadline == at(9))
        pace.receivedBody(500, at: at(8))
        #expect(pace.deadline == at(9.5))
    }

    @Test func `a body that came fast buys no silence`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        pace.receivedBody(19_000_000, at: at(2))
        #expect(pace.deadline == at(10))
        pace.receivedBody(1, at: at(9))
        #expect(pace.deadline == at(17))
    }

    @Test func `while the service is at work nothing runs out`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        pace.receivedEnd(at: at(1))
        #expect(pace.deadline == nil)
        // The next request of a pipeline is held up behind the first.
        pace.receivedBytes(at: at(2))
        #expect(pace.deadline == nil)
        pace.receivedHead(at: at(3))
        #expect(pace.deadline == nil)
        pace.wroteAnswer()
        pace.deliveredAnswer(at: at(21))
        #expect(pace.deadline == at(29))
    }

    @Test func `an answer must be taken, and a connection between requests may idle`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        pace.receivedEnd(at: at(1))
        pace.wrote(100)
        pace.wroteAnswer()
        #expect(pace.deadline == nil)
        pace.saw(waiting: 100, at: at(2))
        #expect(pace.deadline == at(12))
        pace.deliveredAnswer(at: at(3))
        #expect(pace.deadline == at(78))
        pace.receivedBytes(at: at(70))
        #expect(pace.deadline == at(78))
    }

    @Test func `an answer must be taken at a pace, however much of it there is`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        pace.receivedEnd(at: at(1))
        pace.wrote(5_000)
        pace.saw(waiting: 5_000, at: at(2))
        // Less than its due buys no time.
        pace.saw(waiting: 4_001, at: at(11))
        #expect(pace.deadline == at(12))
        pace.saw(waiting: 4_000, at: at(11.5))
        #expect(pace.deadline == at(21.5))
        // Further slices are written as it reads, and count for nothing until they are taken.
        pace.wrote(50_000)
        pace.saw(waiting: 53_001, at: at(20))
        #expect(pace.deadline == at(21.5))
        pace.saw(waiting: 53_000, at: at(21))
        #expect(pace.deadline == at(31))
    }

    @Test func `the last bytes of an answer need not be its due`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        pace.receivedEnd(at: at(1))
        pace.wrote(1_500)
        pace.saw(waiting: 500, at: at(2))
        pace.saw(waiting: 0, at: at(3))
        #expect(pace.deadline == nil)
        // The service makes the next slice: its time, not the client's.
        pace.wrote(10)
        pace.saw(waiting: 10, at: at(60))
        #expect(pace.deadline == at(70))
    }

    @Test func `the rest of a body that was answered already has little time`() {
        var pace = pace()
        pace.receivedHead(at: at(1))
        pace.receivedBody(10, at: at(1))
        pace.wroteAnswer()
        pace.deliveredAnswer(at: at(2))
        pace.receivedBody(5_000, at: at(2))
        #expect(pace.deadline == at(4) && pace.restBytes == 5_000)
        pace.receivedEnd(at: at(3))
        #expect(pace.deadline == at(78))
    }
}
