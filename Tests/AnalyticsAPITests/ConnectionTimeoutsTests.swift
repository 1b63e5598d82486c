import Testing

@testable import AnalyticsAPI

@Suite struct ConnectionTimeoutsTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int64(seconds * 1000)) }

    private func timeouts() -> ConnectionTimeouts {
        let limits = ConnectionTimeouts.Limits(
            headers: .seconds(8), body: .seconds(8), bodyBytesPerSecond: 1000, keepAlive: .seconds(75), answer: .seconds(10),
            answerBytes: 1000, rest: .seconds(2), restTotal: .seconds(6), restBytes: 9_000)
        return ConnectionTimeouts(limits: limits, now: start)
    }

    @Test func `headers must be there in time, however they trickle`() {
        var timeouts = self.timeouts()
        #expect(timeouts.deadline == at(8))
        timeouts.receivedBytes(1, at: at(1))
        timeouts.receivedBytes(1, at: at(7))
        #expect(timeouts.deadline == at(8))
    }

    @Test func `a body gets more time as it grows`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        #expect(timeouts.deadline == at(9))
        timeouts.receivedBody(500, at: at(8))
        #expect(timeouts.deadline == at(9.5))
    }

    @Test func `a body that came fast buys no silence`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedBody(19_000_000, at: at(2))
        #expect(timeouts.deadline == at(10))
        timeouts.receivedBody(1, at: at(9))
        #expect(timeouts.deadline == at(17))
    }

    @Test func `bytes of a TLS record that is not whole yet end the silence of a body, and buy no further time`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedBody(12_000, at: at(2))
        #expect(timeouts.deadline == at(10))
        timeouts.receivedBytes(1, at: at(9))
        #expect(timeouts.deadline == at(17))
        timeouts.receivedBytes(1, at: at(16))
        #expect(timeouts.deadline == at(21))
    }

    @Test func `while the service is at work nothing runs out`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedEnd(at: at(1))
        #expect(timeouts.deadline == nil)
        // The next request of a pipeline is held up behind the first.
        timeouts.receivedBytes(1, at: at(2))
        #expect(timeouts.deadline == nil)
        timeouts.receivedHead(at: at(3))
        #expect(timeouts.deadline == nil)
        timeouts.wroteAnswer()
        timeouts.deliveredAnswer(at: at(21))
        #expect(timeouts.deadline == at(29))
    }

    @Test func `an answer must be taken, and a connection between requests may idle`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedEnd(at: at(1))
        timeouts.wrote(100)
        timeouts.wroteAnswer()
        #expect(timeouts.deadline == nil)
        timeouts.saw(waiting: 100, at: at(2))
        #expect(timeouts.deadline == at(12))
        timeouts.deliveredAnswer(at: at(3))
        #expect(timeouts.deadline == at(78))
        timeouts.receivedBytes(1, at: at(70))
        #expect(timeouts.deadline == at(78))
    }

    @Test func `an answer must be taken at a timeouts, however much of it there is`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedEnd(at: at(1))
        timeouts.wrote(5_000)
        timeouts.saw(waiting: 5_000, at: at(2))
        // Less than its due buys no time.
        timeouts.saw(waiting: 4_001, at: at(11))
        #expect(timeouts.deadline == at(12))
        timeouts.saw(waiting: 4_000, at: at(11.5))
        #expect(timeouts.deadline == at(21.5))
        // Further slices are written as it reads, and count for nothing until they are taken.
        timeouts.wrote(50_000)
        timeouts.saw(waiting: 53_001, at: at(20))
        #expect(timeouts.deadline == at(21.5))
        timeouts.saw(waiting: 53_000, at: at(21))
        #expect(timeouts.deadline == at(31))
    }

    @Test func `the last bytes of an answer need not be its due`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedEnd(at: at(1))
        timeouts.wrote(1_500)
        timeouts.saw(waiting: 500, at: at(2))
        timeouts.saw(waiting: 0, at: at(3))
        #expect(timeouts.deadline == nil)
        // The service makes the next slice: its time, not the client's.
        timeouts.wrote(10)
        timeouts.saw(waiting: 10, at: at(60))
        #expect(timeouts.deadline == at(70))
    }

    @Test func `the rest of a body that was answered already has little time`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.receivedBody(10, at: at(1))
        timeouts.wroteAnswer()
        timeouts.deliveredAnswer(at: at(2))
        timeouts.receivedBytes(5_000, at: at(2))
        #expect(timeouts.isLingering && timeouts.deadline == at(4) && timeouts.restBytes == 5_000)
        timeouts.receivedEnd(at: at(3))
        #expect(timeouts.deadline == at(78) && !timeouts.isLingering)
    }

    @Test func `the rest of a body may come for as long as it comes, within a time and a number of bytes`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.wroteAnswer()
        timeouts.deliveredAnswer(at: at(2))
        for second in 3...7 { timeouts.receivedBytes(1_500, at: at(Double(second))) }
        #expect(timeouts.deadline == at(8) && !timeouts.hasHadEnough)
        timeouts.receivedBytes(1_501, at: at(7))
        #expect(timeouts.hasHadEnough)
    }

    @Test func `a connection that is about to close reads on in the same bounds`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        timeouts.wroteAnswer()
        timeouts.deliveredAnswer(at: at(2))
        timeouts.beganClosing(at: at(3))
        #expect(timeouts.deadline == at(5) && timeouts.idleSince == at(3))
        timeouts.receivedBytes(10, at: at(4.5))
        #expect(timeouts.deadline == at(6.5))
        timeouts.receivedBytes(9_000, at: at(8.5))
        #expect(timeouts.deadline == at(9) && timeouts.hasHadEnough)
    }

    @Test func `a body has a time as a whole, however fast it comes`() {
        var timeouts = self.timeouts()
        timeouts.receivedHead(at: at(1))
        for second in 1...60 { timeouts.receivedBody(2_000, at: at(Double(second))) }
        #expect(timeouts.deadline == at(61))
        #expect(timeouts.canEndBody)
        timeouts.endBody(at: at(61))
        // For the answer that says so.
        #expect(timeouts.deadline == at(63) && !timeouts.canEndBody)
        // The next request's time is its own.
        timeouts.wroteAnswer()
        timeouts.deliveredAnswer(at: at(62))
        timeouts.receivedEnd(at: at(62))
        timeouts.receivedHead(at: at(70))
        #expect(timeouts.deadline == at(78) && timeouts.canEndBody)
    }

    @Test func `a connection is idle while nothing is under way for its client`() {
        var timeouts = self.timeouts()
        #expect(timeouts.idleSince == at(0))
        timeouts.receivedBytes(10, at: at(1))
        #expect(timeouts.idleSince == at(0))
        timeouts.receivedHead(at: at(2))
        #expect(timeouts.idleSince == nil)
        timeouts.receivedEnd(at: at(3))
        #expect(timeouts.idleSince == nil)
        timeouts.wroteAnswer()
        #expect(timeouts.idleSince == nil)
        timeouts.deliveredAnswer(at: at(4))
        #expect(timeouts.idleSince == at(4))
        timeouts.receivedBytes(10, at: at(5))
        #expect(timeouts.idleSince == at(5))
    }
}
