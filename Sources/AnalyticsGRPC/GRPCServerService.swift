package import AnalyticsAPI
internal import AnalyticsCore
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// The questions and the way in over gRPC, as a service: run it in a `ServiceGroup`.
///
/// At a graceful shutdown it takes no more calls, and those under way end. Messages are not compressed: a small one could become any number of bytes.
package struct GRPCServerService: Service {
    package struct Settings: Sendable {
        package var host: String
        /// 0 takes any free port.
        package var port: Int
        /// Bytes of a message.
        package var maximumMessageBytes: Int
        /// Connections open at a time; what comes beside them is closed.
        package var maximumConnections: Int

        package init(host: String, port: Int, maximumMessageBytes: Int, maximumConnections: Int) {
            self.host = host
            self.port = port
            self.maximumMessageBytes = maximumMessageBytes
            self.maximumConnections = maximumConnections
        }
    }

    private let desk: ServiceDesk
    private let settings: Settings
    private let logger: Logger

    /// Messages that wait for a call, one each: with ``Settings/maximumMessageBytes`` what a connection can have in memory before it is counted.
    private static let streamsPerConnection = 32

    package init(desk: ServiceDesk, settings: Settings, logger: Logger) {
        self.desk = desk
        self.settings = settings
        self.logger = logger
    }

    package func run() async throws {
        let connections = ConnectionCount(limit: settings.maximumConnections)
        let (host, isIPv6) = try address()
        let transport = HTTP2ServerTransport.Posix(
            address: isIPv6 ? .ipv6(host: host, port: settings.port) : .ipv4(host: host, port: settings.port),
            transportSecurity: .plaintext,
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = settings.maximumMessageBytes
                config.http2.maxConcurrentStreams = Self.streamsPerConnection
                config.connection.maxIdleTime = .seconds(600)
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(10)
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
                config.channelDebuggingCallbacks.onAcceptTCPConnection = { connections.add($0) }
            })
        let server = GRPCServer(
            transport: transport,
            services: [
                QueryService(desk: desk), IngestService(desk: desk), HealthService(desk: desk, services: Self.names),
                try ReflectionService(services: Self.names),
            ])
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.serve() }
                group.addTask {
                    let port = try await server.listeningAddress.flatMap { $0.ipv4?.port ?? $0.ipv6?.port }
                    logger.notice("gRPC is served", metadata: ["host": "\(settings.host)", "port": "\(port ?? settings.port)"])
                }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            server.beginGracefulShutdown()
        }
    }

    /// Those that health and reflection tell of.
    static var names: [String] {
        [
            Analytics_AnalyticsQuery.descriptor, Analytics_Ingest.descriptor, Grpc_Health_V1_Health.descriptor,
            Grpc_Reflection_V1_ServerReflection.descriptor,
        ].map(\.fullyQualifiedService)
    }

    /// The transport takes numbers only.
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

/// How many connections there are.
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
