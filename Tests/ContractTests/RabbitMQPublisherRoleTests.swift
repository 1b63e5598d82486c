import AnalyticsCore
import Synchronization
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: deciding what is published")
struct RabbitMQPublisherRoleTests {
    private let start = ContinuousClock.now

    /// What a caller of `publish` would get.
    private final class Caller: Sendable {
        let outcomes = Mutex<[PublishOutcome]?>(nil)
        var answer: [PublishOutcome]? { outcomes.withLock { $0 } }
    }

    private func publish(_ count: Int, bytes: Int = 100, _ role: inout PublisherRole) -> Caller {
        let caller = Caller()
        let messages = (0..<count).map { _ in OutgoingMessage(body: Array(repeating: 0, count: bytes), events: 1) }
        let call = PublishCall(messages: messages, queue: .events, deadline: start + .seconds(10)) { outcomes in
            caller.outcomes.withLock { $0 = outcomes }
        }
        role.accept(.publish(call), now: start)
        return caller
    }

    private func role(_ change: (inout LinkSettings) -> Void = { _ in }) -> PublisherRole {
        var settings = LinkSettings()
        change(&settings)
        return PublisherRole(topology: TopologyDeclaration(.standard), settings: settings)
    }

    /// As the link does while the socket takes everything.
    private func advance(_ role: inout PublisherRole, at moment: Duration = .zero) throws {
        var output = FrameWriter()
        while try role.advance(now: start + moment, output: &output).hasMore { output = FrameWriter() }
    }

    @Test("A call is answered once, when the broker has spoken about each of its messages")
    func answersOnce() throws {
        var role = role()
        let caller = publish(3, &role)
        try advance(&role)
        try role.receive(.acknowledged(2, multiple: true), now: start)
        #expect(caller.answer == nil)
        try role.receive(.refused(3, multiple: false), now: start)
        #expect(caller.answer == [.confirmed, .confirmed, .unconfirmed("the broker refused it")])
    }

    @Test("No more is sent than the window holds, and confirms make room")
    func holdsTheWindow() throws {
        var role = role { $0.windowMessages = 2 }
        let first = publish(2, &role)
        let second = publish(2, &role)
        try advance(&role)
        try role.receive(.acknowledged(4, multiple: true), now: start)
        #expect(first.answer == nil)
        try role.receive(.acknowledged(2, multiple: true), now: start)
        #expect(first.answer == [.confirmed, .confirmed])
        try advance(&role)
        try role.receive(.acknowledged(4, multiple: true), now: start)
        #expect(second.answer == [.confirmed, .confirmed])
    }

    @Test("A message that is larger than the window goes by itself")
    func letsOneThrough() throws {
        var role = role { $0.windowBytes = 50 }
        let caller = publish(2, &role)
        for sequence: UInt64 in 1...2 {
            try advance(&role)
            try role.receive(.acknowledged(sequence, multiple: false), now: start)
        }
        #expect(caller.answer == [.confirmed, .confirmed])
    }

    @Test("When the broker blocks, what waits is refused at once, and what is on its way after the grace")
    func refusesWhileBlocked() throws {
        var role = role { $0.windowMessages = 1 }
        let onItsWay = publish(1, &role)
        let waits = publish(1, &role)
        try advance(&role)
        try role.receive(.blocked("low on memory"), now: start)
        #expect(waits.answer == [.unconfirmed("the broker is blocked: low on memory")])
        #expect(publish(1, &role).answer == [.unconfirmed("the broker is blocked: low on memory")])
        try advance(&role, at: .seconds(1))
        #expect(onItsWay.answer == nil)
        try advance(&role, at: .seconds(2))
        #expect(onItsWay.answer == [.unconfirmed("the broker is blocked: low on memory")])
        // However long it lasts, the connection is not to blame.
        try advance(&role, at: .seconds(60))
        try role.receive(.unblocked, now: start + .seconds(60))
        try advance(&role, at: .seconds(69))
        try role.receive(.acknowledged(1, multiple: false), now: start + .seconds(69))
        let after = publish(1, &role)
        try advance(&role)
        try role.receive(.acknowledged(2, multiple: false), now: start)
        #expect(after.answer == [.confirmed])
    }

    @Test("A connection that confirms nothing in time is given up, and its messages are unconfirmed")
    func suspectsSilence() throws {
        var role = role()
        let caller = publish(1, &role)
        try advance(&role)
        try advance(&role, at: .seconds(9))
        #expect(throws: BrokerError.self) { try advance(&role, at: .seconds(10)) }
        #expect(caller.answer == [.unconfirmed("the broker has not confirmed it in time")])
    }

    @Test("After a loss, what was sent is unconfirmed, and what waits goes out on the next connection, if that comes at once")
    func survivesALoss() throws {
        var role = role { $0.windowMessages = 1 }
        let sent = publish(1, &role)
        let waits = publish(1, &role)
        try advance(&role)
        role.disconnected(BrokerError(.unavailable, "gone"), isRetrying: true)
        #expect(sent.answer == [.unconfirmed("gone")])
        #expect(waits.answer == nil)
        try advance(&role)
        try role.receive(.acknowledged(1, multiple: false), now: start)
        #expect(waits.answer == [.confirmed])
    }

    @Test("While there is no connection, calls are refused with the reason")
    func refusesWhileDown() {
        var role = role()
        let waits = publish(2, &role)
        role.disconnected(BrokerError(.unavailable, "connection refused"), isRetrying: false)
        #expect(waits.answer == Array(repeating: .unconfirmed("connection refused"), count: 2))
        #expect(publish(1, &role).answer == [.unconfirmed("connection refused")])
    }

    @Test("A returned message is unconfirmed, and the connection is made anew once nothing is expected on it")
    func redeclaresAfterAReturn() throws {
        var role = role { $0.windowMessages = 2 }
        let first = publish(2, &role)
        let next = publish(1, &role)
        try advance(&role)
        try role.receive(.returned("312 NO_ROUTE"), now: start)
        try role.receive(.header(ContentHeader(bodySize: 100, sequence: 1, deliveryCount: 0)), now: start)
        try role.receive(.acknowledged(1, multiple: false), now: start)
        try advance(&role)
        try role.receive(.acknowledged(2, multiple: false), now: start)
        #expect(first.answer == [.unconfirmed("the broker returned it: 312 NO_ROUTE"), .confirmed])
        #expect(throws: BrokerError.self) { try advance(&role) }
        #expect(next.answer == nil)
    }
}
