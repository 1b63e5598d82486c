import AnalyticsCore
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

@Suite("RabbitMQ: addresses")
struct RabbitMQAddressTests {
    @Test(
        "An address is read with its defaults and percent-encoding",
        arguments: [
            ("amqp://localhost", "localhost 5672 guest guest /"),
            ("amqp://localhost/", "localhost 5672 guest guest /"),
            ("amqp://10.0.0.1:5673/%2F", "10.0.0.1 5673 guest guest /"),
            ("amqp://me:p%40ss:word@mq.example:1/a%2fb", "mq.example 1 me p@ss:word a/b"),
            ("amqp://me@mq", "mq 5672 me guest /"),
            ("amqp://me:@mq", "mq 5672 me  /"),
            ("amqp://[::1]:5673/v", "::1 5673 guest guest v"),
            ("amqp://[::1]", "::1 5672 guest guest /"),
            ("amqps://me:p%3Fss@mq/v", "mq 5671 me p?ss v"),
            ("amqps://mq:5673", "mq 5673 guest guest /"),
            ("amqps://mq?verify=verify_peer", "mq 5671 guest guest /"),
        ])
    func reads(_ url: String, _ expected: String) throws {
        let address = try BrokerAddress(url: url)
        #expect("\(address.host) \(address.port) \(address.user) \(address.password) \(address.vhost)" == expected)
    }

    @Test(
        "An address that cannot work is refused, and its password is not repeated",
        arguments: [
            "", "localhost:5672", "http://secret@mq", "amqps://", "amqp://", "amqp://me:secret@", "amqp://me:secret@mq:0",
            "amqp://me:secret@mq:65536", "amqp://me:secret@mq:", "amqp://me:secret@mq:x", "amqp://me:secret@mq/a/b",
            "amqp://me:secret@mq/?heartbeat=1", "amqp://me:secret%@mq", "amqp://me:secret%G0@mq", "amqp://me:secret%00@mq",
            "amqp://me:secret%FF@mq", "amqp://me:secret@[::1", "amqp://me:secret@[::1]x", "amqp://me:secret@mq?verify=verify_none",
            "amqps://me:secret@mq?heartbeat=1", "amqps://me:sec?ret@mq", "amqps://me:secret@mq?verify=none",
            "amqps://me:secret@mq?cacertfile=",
            "amqps://me:secret@mq?certfile=/a", "amqps://me:secret@mq?keyfile=/a", "amqps://me:secret@mq?cacertfile=%00",
            "amqps://me:secret@mq?cacertfile=/a#b",
        ])
    func refuses(_ url: String) {
        let error = #expect(throws: BrokerError.self) { _ = try BrokerAddress(url: url) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("secret") == false && error?.message.contains("ret@mq") == false)
    }

    @Test("The query of amqps says what is trusted; amqp has no TLS")
    func readsTLS() throws {
        #expect(try BrokerAddress(url: "amqp://mq").tls == nil)
        #expect(try BrokerAddress(url: "amqps://mq").tls == BrokerTLS())
        let all = "cacertfile=/a%20b.pem&certfile=/c&keyfile=/k&verify=verify_none&server_name_indication=other"
        var expected = try BrokerTLS()
        (expected.authorities, expected.certificate, expected.key) = ("/a b.pem", "/c", "/k")
        (expected.isVerified, expected.serverName) = (false, "other")
        #expect(try BrokerAddress(url: "amqps://mq/v?" + all).tls == expected)
    }
}

@Suite("RabbitMQ: keeping a connection")
struct RabbitMQLivenessTests {
    private let start = ContinuousClock.now

    @Test("A heartbeat is due after half of the interval without sending, however much is received")
    func beats() {
        var liveness = Liveness(heartbeat: .seconds(10), now: start)
        liveness.received(now: start + .seconds(4))
        #expect(liveness.action(now: start + .seconds(4)) == .none)
        #expect(liveness.due(canSend: true) == start + .seconds(5))
        #expect(liveness.action(now: start + .seconds(5)) == .beat)
        liveness.sent(now: start + .seconds(5))
        #expect(liveness.action(now: start + .seconds(9)) == .none)
    }

    @Test("Two intervals without a byte end it, however much is sent")
    func givesUp() {
        var liveness = Liveness(heartbeat: .seconds(10), now: start)
        liveness.sent(now: start + .seconds(19))
        #expect(liveness.action(now: start + .seconds(19)) == .none)
        #expect(liveness.due(canSend: true) == start + .seconds(20))
        #expect(liveness.action(now: start + .seconds(20)) == .giveUp)
    }

    @Test("While nothing can be sent no beat is due, so that nobody waits in circles for it; silence still ends the connection")
    func waitsOnAFullSocket() {
        var liveness = Liveness(heartbeat: .seconds(10), now: start)
        liveness.received(now: start + .seconds(8))
        #expect(liveness.due(canSend: true) == start + .seconds(5))
        #expect(liveness.due(canSend: false) == start + .seconds(28))
    }

    @Test("A broker that wants no heartbeats gets none")
    func isOff() {
        let liveness = Liveness(heartbeat: .zero, now: start)
        #expect(liveness.due(canSend: true) == nil)
        #expect(liveness.action(now: start + .seconds(1000)) == .none)
    }

    @Test("After a loss the first attempt follows at once; then the delay doubles from 0.2 s to 5 s")
    func backsOff() {
        var steady = SteadyGenerator()
        var delay = ReconnectDelay()
        #expect(delay.next(afterLifetime: .seconds(60), using: &steady) == .zero)
        let delays = (0..<7).map { _ in delay.next(afterLifetime: nil, using: &steady).milliseconds }
        #expect(delays == [200, 400, 800, 1600, 3200, 5000, 5000])
        #expect(delay.next(afterLifetime: .seconds(60), using: &steady) == .zero)
        #expect(delay.next(afterLifetime: nil, using: &steady).milliseconds == 200)
    }

    @Test("A connection that breaks as soon as it is made does not begin the delays again")
    func doesNotSpin() {
        var steady = SteadyGenerator()
        var delay = ReconnectDelay()
        let delays = (0..<4).map { _ in delay.next(afterLifetime: .milliseconds(10), using: &steady).milliseconds }
        #expect(delays == [0, 200, 400, 800])
    }

    @Test("The first attempt of all, if it fails, is followed by a delay")
    func waitsAfterTheFirstAttempt() {
        var steady = SteadyGenerator()
        var delay = ReconnectDelay()
        #expect(delay.next(afterLifetime: nil, using: &steady).milliseconds == 200)
    }
}
