import AnalyticsCore
import Foundation
import Logging
import TestSupport
import Testing

@testable import AnalyticsRabbitMQ

/// One after another: they share a node.
@Suite(
    "RabbitMQ: over TLS", .serialized, .enabled(if: rabbitMQURL != nil), .timeLimit(.minutes(5)), OwnRabbitMQNode(isSecure: true))
struct RabbitMQTLSTests {
    private let node: RabbitMQNode
    private let authority: TestAuthority

    init() throws {
        node = try #require(RabbitMQNode.current)
        authority = try #require(node.authority)
    }

    private var trusted: String { "cacertfile=\(authority.certificate.path)" }

    private func large(_ number: Int, bytes: Int) -> [UInt8] {
        let start = body(number)
        return start + Array(repeating: UInt8(ascii: " "), count: max(0, bytes - start.count))
    }

    @Test("Messages of every size arrive whole, though a record of TLS has at most 16 KiB and a read of the socket ends anywhere")
    func sizes() async throws {
        try await withRabbitMQ(node.url, through: node.secureURL(trusted)) { broker, _ in
            let sizes = [16, 1_000, 16_383, 16_384, 16_385, 70_000, 131_072, 262_144, 262_145]
            let bodies = (0..<900).map { large($0, bytes: sizes[$0 % sizes.count]) }
            for start in stride(from: 0, to: bodies.count, by: 90) {
                let outcomes = await broker.publish(bodies[start..<start + 90].map(message), to: .events)
                #expect(outcomes.allSatisfy { $0 == .confirmed })
            }
            let consumer = DeliveryCollector(broker, prefetch: 500)
            try await consumer.first(500)
            consumer.acknowledge(consumer.deliveries)
            try await consumer.first(900)
            #expect(Set(consumer.bodies) == Set(bodies))
            consumer.acknowledge(consumer.deliveries)
            await consumer.stop()
            // The last bytes of each are at the end of their record: nothing follows that would wake a reader.
            let quiet = DeliveryCollector(broker, prefetch: 1)
            for number in 0..<20 {
                let bodies = [large(1_000 + number, bytes: 8_000_000 + number)]
                #expect(await broker.publish(bodies.map(message), to: .events) == [.confirmed])
                try await quiet.first(number + 1)
                #expect(quiet.bodies.last == bodies[0])
                quiet.acknowledge(quiet.deliveries.suffix(1))
            }
            await quiet.stop()
        }
    }

    @Test("Under a memory alarm writes do not wait: publishes are unconfirmed within 9 s, and confirmed again after it")
    func alarm() async throws {
        try await withRabbitMQ(node.url, through: node.secureURL(trusted)) { broker, _ in
            #expect(await broker.publish([message(body(1))], to: .events) == [.confirmed])
            try await node.stack("rabbitmqctl", "set_vm_memory_high_watermark", "0.00001")
            let started = ContinuousClock.now
            // Far more than a socket holds.
            let outcomes = await broker.publish(Array(repeating: message(Array(repeating: 0, count: 100_000)), count: 200), to: .events)
            #expect(outcomes.allSatisfy { $0 != .confirmed })
            #expect(ContinuousClock.now - started < .seconds(9))
            let error = await #expect(throws: BrokerError.self) { try await broker.checkHealth() }
            #expect(error?.code == .blocked)
            try await node.stack("rabbitmqctl", "set_vm_memory_high_watermark", "0.4")
            try await eventually("a confirm", within: .seconds(20)) {
                await broker.publish([message(body(2))], to: .events) == [.confirmed]
            }
        }
    }

    private func health(_ url: String) async throws -> BrokerError? {
        let broker = try RabbitMQBroker(url: url, logger: Logger(label: "test"))
        var failure: BrokerError?
        do throws(BrokerError) {
            try await broker.checkHealth()
        } catch {
            failure = error
        }
        await broker.shutdown()
        return failure
    }

    @Test("The broker's certificate must be trusted and name the host, an IP address too, unless the address says otherwise")
    func verifies() async throws {
        #expect(try await health(node.secureURL(trusted)) == nil)
        #expect(try await health(node.secureURL(trusted, host: "127.0.0.1")) == nil)
        #expect(try await health(node.secureURL("verify=verify_none")) == nil)
        #expect(try await health(node.secureURL("\(trusted)&server_name_indication=localhost", host: "127.0.0.1")) == nil)

        let unknown = try await health(node.secureURL(""))
        // Either its issuer is unknown, or the chain ends with an authority that is not trusted.
        #expect(unknown?.message.contains(#/SSL handshake failed: .*certificate/#) == true, "\(String(describing: unknown))")
        let other = try await health(node.secureURL("\(trusted)&server_name_indication=other.example"))
        #expect(other?.message.contains("hostname mismatch") == true, "\(String(describing: other))")
        // A port without TLS.
        let plain = node.url.replacing("amqp://", with: "amqps://") + "?" + trusted
        let failure = try await health(plain)
        #expect(failure?.code == .unavailable && failure?.message.contains("guest:guest") == false, "\(String(describing: failure))")
    }

    @Test("The client shows a certificate of its own if it has one")
    func clientCertificate() async throws {
        let own = try await authority.issue("client")
        #expect(try await health(node.secureURL("\(trusted)&certfile=\(own.certificate.path)&keyfile=\(own.key.path)")) == nil)
    }
}

@Suite("RabbitMQ: files for TLS")
struct RabbitMQTLSFileTests {
    private static func refusal(_ query: String) -> String? {
        do throws(BrokerError) {
            _ = try RabbitMQBroker(url: "amqps://me:secret@127.0.0.1:1?\(query)", logger: Logger(label: "test"))
            return nil
        } catch {
            return error.code == .misconfigured ? error.message : "\(error)"
        }
    }

    @Test("A file that cannot be used is refused at once, by the name of its parameter")
    func wrongFiles() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        let (own, other) = (try await authority.issue("own"), try await authority.issue("other"))
        let missing = Self.refusal("cacertfile=/nowhere/ca.pem")
        #expect(missing?.contains("cacertfile=/nowhere/ca.pem cannot be read: No such file") == true, "\(missing ?? "")")
        let empty = Self.refusal("cacertfile=\(own.key.path)")
        #expect(empty?.contains("cacertfile=\(own.key.path) has no certificates") == true, "\(empty ?? "")")
        let pair = Self.refusal("certfile=\(own.certificate.path)&keyfile=\(other.key.path)")
        #expect(pair?.contains("are not a certificate and its key") == true, "\(pair ?? "")")
        for text in [missing, empty, pair] { #expect(text?.contains("secret") == false) }
        #expect(Self.refusal("cacertfile=\(authority.certificate.path)&certfile=\(own.certificate.path)&keyfile=\(own.key.path)") == nil)
    }
}
