package import AnalyticsAPI
internal import AnalyticsCore
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// The questions and the ingest over gRPC, as a service: run it in a `ServiceGroup`.
///
/// At a graceful shutdown it accepts no more calls and cancels those in progress. Connections that are still open after ``shutdownTime``
/// are cut. Messages are not compressed: a small one could expand to any size.
package struct GRPCServerService: Service {
    package struct Settings: Sendable {
        package var host: String
        /// 0 takes any free port.
        package var port: Int
        /// Bytes per message.
        package var maximumMessageBytes: Int
        /// For TLS; `nil`: none.
        package var certificate: ServerCertificate?

        package init(host: String, port: Int, maximumMessageBytes: Int, certificate: ServerCertificate? = nil) {
            self.host = host
            self.port = port
            self.maximumMessageBytes = maximumMessageBytes
            self.certificate = certificate
        }
    }

    private let desk: ServiceDesk
    private let settings: Settings
    private let logger: Logger

    /// The transport reads up to ten messages per call ahead, outside of any memory limit. With 4 MiB per message, 4 calls take 160 MiB per
    /// connection.
    private static let streamsPerConnection = 4
    /// Open connections. Further ones are closed at once.
    private static let connectionLimit = 64
    /// Without this limit, a silent client would block the shutdown: the transport waits for its response.
    private static let shutdownTime: Duration = .seconds(5)

    package init(desk: ServiceDesk, settings: Settings, logger: Logger) {
        self.desk = desk
        self.settings = settings
        self.logger = logger
    }

    package func run() async throws {
        let connections = ConnectionCount(limit: Self.connectionLimit)
        let (host, isIPv6) = try address()
        let transport = HTTP2ServerTransport.Posix(
            address: isIPv6 ? .ipv6(host: host, port: settings.port) : .ipv4(host: host, port: settings.port),
            transportSecurity: try security(),
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = settings.maximumMessageBytes
                config.http2.maxConcurrentStreams = Self.streamsPerConnection
                config.connection.maxIdleTime = .seconds(600)
                config.connection.maxGraceTime = .seconds(30)
                config.connection.keepalive.time = .seconds(60)
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(10)
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
                config.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
                    HandshakeDeadline.begin(on: channel)
                    return connections.add(channel)
                }
            })
        let server = GRPCServer(
            transport: transport,
            services: [
                QueryService(desk: desk), IngestService(desk: desk), HealthService(desk: desk, services: Self.names),
                try ReflectionService(services: Self.names),
            ],
            interceptorPipeline: KeyInterceptor.pipeline(desk))
        // Not awaited: the call cannot be cancelled, and there is no address if the service ends before it listens.
        Task { [settings, logger] in
            guard let address = try? await server.listeningAddress else { return }
            let port = address.ipv4?.port ?? address.ipv6?.port
            logger.notice("gRPC is served", metadata: ["host": "\(settings.host)", "port": "\(port ?? settings.port)"])
        }
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                do { try await server.serve() } catch let error as RuntimeError where error.code == .serverIsStopped {}
                return .ended
            }
            group.addTask {
                try await gracefulShutdown()
                server.beginGracefulShutdown()
                try await Task.sleep(for: Self.shutdownTime)
                return .late
            }
            let first = try await group.next()
            group.cancelAll()
            // Ignores errors of the cancelled tasks.
            if first == .late { while (try? await group.next()) != nil {} }
        }
    }

    /// TLS 1.2 or later, and only HTTP/2 by ALPN.
    private func security() throws -> HTTP2ServerTransport.Posix.TransportSecurity {
        guard let certificate = settings.certificate else { return .plaintext }
        return try .tls(certificateReloader: certificate) { $0.requireALPN = true }
    }

    private enum Part {
        case ended
        case late
    }

    /// The services that health and reflection list.
    static var names: [String] {
        [
            Analytics_AnalyticsQuery.descriptor, Analytics_Ingest.descriptor, Grpc_Health_V1_Health.descriptor,
            Grpc_Reflection_V1_ServerReflection.descriptor,
        ].map(\.fullyQualifiedService)
    }

    /// Resolves host names: the transport accepts only IP addresses.
    private func address() throws -> (host: String, isIPv6: Bool) {
        let address =
            if ClientAddress(settings.host) == nil {
                try NIOCore.SocketAddress.makeAddressResolvingHost(settings.host, port: settings.port)
            } else {
                try NIOCore.SocketAddress(ipAddress: settings.host, port: settings.port)
            }
        return (address.ipAddress ?? settings.host, address.protocol == .inet6)
    }
}

/// Counts the open connections.
private final class ConnectionCount: Sendable {
    private let limit: Int
    private let open = Atomic(0)

    init(limit: Int) {
        self.limit = limit
    }

    func add(_ channel: any Channel) -> EventLoopFuture<Void> {
        let count = open.add(1, ordering: .relaxed).newValue
        channel.closeFuture.whenComplete { [self] _ in open.subtract(1, ordering: .relaxed) }
        return count > limit ? channel.close() : channel.eventLoop.makeSucceededVoidFuture()
    }
}
