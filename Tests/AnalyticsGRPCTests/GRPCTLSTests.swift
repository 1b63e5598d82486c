import AnalyticsAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// The server with a certificate, on a port of this machine.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct GRPCTLSTests {
    private func run(_ certificate: ServerCertificate, _ body: (Int) async throws -> Void) async throws {
        let log = RecordedLog()
        let service = GRPCServerService(
            desk: try GRPCRig().desk(),
            settings: .init(host: "127.0.0.1", port: 0, maximumMessageBytes: 1 << 20, certificate: certificate), logger: log.logger)
        try await testGracefulShutdown { trigger in
            let running = Task { try await service.run() }
            defer { running.cancel() }
            try await eventually("it listens") { log.contains("gRPC is served") }
            let port = try #require(log.texts.lazy.compactMap { $0.firstMatch(of: #/"port": ([0-9]+)/#)?.1 }.first.flatMap { Int($0) })
            try await body(port)
            trigger.triggerGracefulShutdown()
            #expect(await ends(running))
        }
    }

    /// One call over a connection of its own.
    private func check(_ port: Int, trusting authority: TestAuthority) async throws -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        let roots = TLSConfig.CertificateSource.file(path: authority.certificate.path(), format: .pem)
        let security = HTTP2ClientTransport.Posix.TransportSecurity.tls { $0.trustRoots = .certificates([roots]) }
        let config = HTTP2ClientTransport.Posix.Config.defaults { $0.http2.authority = "localhost" }
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: security, config: config)
        var options = CallOptions.defaults
        options.timeout = .seconds(5)
        options.waitForReady = false
        return try await withGRPCClient(
            transport: transport
        ) { client in
            return try await client.unary(
                request: ClientRequest(message: Grpc_Health_V1_HealthCheckRequest()),
                descriptor: Grpc_Health_V1_Health.Method.Check.descriptor,
                serializer: ProtobufSerializer<Grpc_Health_V1_HealthCheckRequest>(),
                deserializer: ProtobufDeserializer<Grpc_Health_V1_HealthCheckResponse>(), options: options
            ) { try $0.message.status }
        }
    }

    @Test func `calls are served over TLS, and a new certificate is used for new connections`() async throws {
        let (first, second) = (try await TestAuthority(), try await TestAuthority())
        defer { for authority in [first, second] { authority.remove() } }
        let files = try await first.issue("server")
        let certificate = try ServerCertificate(certificate: files.certificate.path(), key: files.key.path())
        let next = try await second.issue("server")
        try await run(certificate) { port in
            #expect(try await check(port, trusting: first) == .serving)
            try Data(contentsOf: next.certificate).write(to: files.certificate)
            guard case .refused(let failure) = certificate.reload() else {
                Issue.record("a certificate with another key is used")
                return
            }
            #expect(failure.file == .key)
            #expect(try await check(port, trusting: first) == .serving)
            try Data(contentsOf: next.key).write(to: files.key)
            #expect(certificate.reload() == .exchanged && certificate.reload() == .unchanged)
            #expect(try await check(port, trusting: second) == .serving)
            await #expect(throws: RPCError.self) { try await check(port, trusting: first) }
        }
    }

    @Test func `a client that does not finish the handshake is disconnected`() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        let files = try await authority.issue("server")
        try await run(try ServerCertificate(certificate: files.certificate.path(), key: files.key.path())) { port in
            let silent = try UnreadConnection(port: port)
            // A record that says that more of it comes.
            let begun = try UnreadConnection(port: port)
            try await begun.send("\u{16}\u{3}\u{1}\u{1}\u{0}")
            for connection in [silent, begun] {
                try await eventually("it is disconnected", within: .seconds(20)) { connection.read(4_096) == nil }
            }
            #expect(try await check(port, trusting: authority) == .serving)
        }
    }
}
