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

    /// A small request that may share a message.
    private func request(_ text: String, isJoinable: Bool = true, _ role: inout PublisherRole) -> Caller {
        let caller = Caller()
        let message = OutgoingMessage(body: Array(text.utf8), events: 1, isJoinable: isJoinable)
        let call = PublishCall(messages: [message], queue: .events, deadline: start + .seconds(10)) { outcomes in
            caller.outcomes.withLock { $0 = outcomes }
        }
        role.accept(.publish(call), now: start)
        return caller
    }

    /// The bodies of what is written now. Each is framed once, so that it can be found in the bytes.
    private func written(_ role: inout PublisherRole) throws -> String {
        var output = FrameWriter()
        _ = try role.advance(now: start, output: &output)
        return String(decoding: output.withPending(Array.init), as: UTF8.self)
    }

    @Test("Small requests are joined only while others are on their way, and each is answered with the message that carries it")
    func joins() throws {
        var role = role { $0.joinableWindow = 2 }
        let first = request("<1>", &role)
        var bytes = try written(&role)
        #expect(bytes.contains("<1>") && !bytes.contains("sections"))
        let second = request("<2>", &role)
        bytes = try written(&role)
        #expect(bytes.contains("<2>") && !bytes.contains("sections"))

        let others = ["<3>", "<4>", "<5>"].map { request($0, &role) }
        #expect(try written(&role).isEmpty)
        try role.receive(.acknowledged(1, multiple: false), now: start)
        #expect(first.answer == [.confirmed] && second.answer == nil)
        #expect(try written(&role).contains(#"{"v":2,"sections":[<3>,<4>,<5>]}"#))
        try role.receive(.acknowledged(2, multiple: false), now: start)
        #expect(others.allSatisfy { $0.answer == nil })
        try role.receive(.acknowledged(3, multiple: false), now: start)
        #expect(others.allSatisfy { $0.answer == [.confirmed] })
    }

    @Test("What is not to be joined goes by itself and in its turn, and no small request is joined over it")
    func keepsTheTurn() throws {
        var role = role { $0.joinableWindow = 1 }
        _ = request("<1>", &role)
        _ = try written(&role)
        let small = request("<2>", &role)
        _ = request("<3>", isJoinable: false, &role)
        let last = request("<4>", &role)
        try role.receive(.acknowledged(1, multiple: false), now: start)
        let bytes = try written(&role)
        #expect(bytes.contains("<2>") && bytes.contains("<3>") && !bytes.contains("<4>") && !bytes.contains("sections"))
        try role.receive(.acknowledged(2, multiple: false), now: start)
        #expect(small.answer == [.confirmed])
        #expect(try written(&role).contains("<4>"))
        try role.receive(.acknowledged(4, multiple: false), now: start)
        #expect(last.answer == [.confirmed])
    }

    @Test("Of a joined message that the broker refuses, or that is lost, each request learns it")
    func refusesTheJoined() throws {
        var role = role { $0.joinableWindow = 1 }
        _ = request("<1>", &role)
        _ = try written(&role)
        let refused = ["<2>", "<3>"].map { request($0, &role) }
        try role.receive(.acknowledged(1, multiple: false), now: start)
        _ = try written(&role)
        try role.receive(.refused(2, multiple: false), now: start)
        #expect(refused.allSatisfy { $0.answer == [.unconfirmed("the broker refused it")] })
        // What was refused takes no room any more.
        let lost = request("<4>", &role)
        #expect(try written(&role).contains("<4>"))
        role.disconnected(BrokerError(.unavailable, "gone"), isRetrying: true)
        #expect(lost.answer == [.unconfirmed("gone")])
        _ = request("<5>", &role)
        #expect(try written(&role).contains("<5>"))
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
