import AnalyticsCore
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: matching confirms")
struct RabbitMQConfirmTrackerTests {
    private let start = ContinuousClock.now

    /// Numbers 1... are published as tokens 1...
    private func tracker(_ count: Int, deadline: Duration = .seconds(10)) -> ConfirmTracker<Int> {
        var tracker = ConfirmTracker<Int>()
        for number in 1...count {
            let sequence = tracker.published(number, bytes: 100, now: start, deadline: start + deadline)
            #expect(sequence == UInt64(number))
        }
        return tracker
    }

    private func tokens(_ settlements: [ConfirmTracker<Int>.Settlement]) -> [Int] { settlements.map(\.token) }

    @Test("An ack confirms its message only, a multiple one all up to it")
    func settles() {
        var tracker = tracker(6)
        #expect(tokens(tracker.acknowledged(3, multiple: false)) == [3])
        #expect(tokens(tracker.acknowledged(4, multiple: true)) == [1, 2, 4])
        #expect(tracker.messagesInFlight == 2)
        #expect(tracker.bytesInFlight == 200)
        #expect(tracker.acknowledged(6, multiple: true).map(\.outcome) == [.confirmed, .confirmed])
        #expect(tracker.messagesInFlight == 0)
        #expect(tracker.isEverybodyTold)
    }

    @Test("A nack leaves its messages unconfirmed")
    func refuses() {
        var tracker = tracker(3)
        #expect(tracker.refused(2, multiple: true).map(\.outcome) == Array(repeating: .unconfirmed("the broker refused it"), count: 2))
        #expect(tracker.acknowledged(3, multiple: false).map(\.outcome) == [.confirmed])
    }

    @Test("What the broker returned is not confirmed by the ack that follows")
    func returnsAreNoConfirms() {
        var tracker = tracker(3)
        tracker.returned(2, reason: "312 NO_ROUTE")
        let outcomes = tracker.acknowledged(3, multiple: true).map(\.outcome)
        #expect(outcomes == [.confirmed, .unconfirmed("the broker returned it: 312 NO_ROUTE"), .confirmed])
    }

    @Test("Words about messages that were never sent, or are settled, mean nothing")
    func ignoresTheUnknown() {
        var tracker = tracker(2)
        #expect(tracker.acknowledged(7, multiple: true).isEmpty)
        #expect(tracker.acknowledged(0, multiple: false).isEmpty)
        tracker.returned(9, reason: "")
        #expect(tokens(tracker.acknowledged(1, multiple: false)) == [1])
        #expect(tracker.acknowledged(1, multiple: false).isEmpty)
        #expect(tracker.messagesInFlight == 1)
    }

    @Test("At its deadline a message is unconfirmed, and stays in the window until the broker's word, which is told to nobody")
    func expires() {
        var tracker = tracker(2, deadline: .seconds(1))
        _ = tracker.published(3, bytes: 100, now: start, deadline: start + .seconds(5))
        #expect(tracker.deadline == start + .seconds(1))
        #expect(tracker.expire(now: start).isEmpty)
        #expect(tokens(tracker.expire(now: start + .seconds(1))) == [1, 2])
        #expect(tracker.expire(now: start + .seconds(1)).isEmpty)
        #expect(tracker.deadline == start + .seconds(5))
        #expect(tracker.messagesInFlight == 3)
        #expect(tokens(tracker.acknowledged(3, multiple: true)) == [3])
        #expect(tracker.messagesInFlight == 0)
    }

    @Test("With its connection everything is unconfirmed, and numbers begin again")
    func resets() {
        var tracker = tracker(3)
        _ = tracker.acknowledged(2, multiple: false)
        #expect(tokens(tracker.reset("gone")) == [1, 3])
        #expect(tracker.messagesInFlight == 0)
        #expect(tracker.published(9, bytes: 1, now: start, deadline: start) == 1)
    }

    @Test("Whatever the order of words, each message is told once, and confirmed only by an ack without a return", arguments: 0..<50)
    func agreesWithAModel(_ seed: UInt64) {
        var random = Seeded(seed)
        var tracker = ConfirmTracker<Int>()
        var open: [UInt64: Bool] = [:]
        var told: [Int: PublishOutcome] = [:]
        func tell(_ settlements: [ConfirmTracker<Int>.Settlement]) {
            for settlement in settlements {
                #expect(told.updateValue(settlement.outcome, forKey: settlement.token) == nil)
            }
        }
        var sent = 0
        for _ in 0..<500 {
            if Bool.random(using: &random) || open.isEmpty {
                sent += 1
                let sequence = tracker.published(sent, bytes: 1, now: start, deadline: start)
                open[sequence] = false
                if Int.random(in: 0..<5, using: &random) == 0 {
                    open[sequence] = true
                    tracker.returned(sequence, reason: "r")
                }
            } else if let sequence = open.keys.sorted().randomElement(using: &random) {
                let multiple = Bool.random(using: &random)
                let covered = open.filter { multiple ? $0.key <= sequence : $0.key == sequence }
                tell(tracker.acknowledged(sequence, multiple: multiple))
                for (number, isReturned) in covered {
                    #expect(told[Int(number)] == (isReturned ? .unconfirmed("the broker returned it: r") : .confirmed))
                    open[number] = nil
                }
            }
            #expect(tracker.messagesInFlight == open.count)
        }
        tell(tracker.reset("gone"))
        #expect(told.count == sent)
    }
}
