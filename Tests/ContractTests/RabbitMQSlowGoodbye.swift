import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import AnalyticsRabbitMQ

/// Stands between a client and RabbitMQ. A connection's `connection.close`, and the end of its socket, reach the broker only after `delay`: until then it keeps what it has
/// delivered.
struct SlowGoodbye: Sendable {
    private let server: any Channel

    init(to url: String, delay: Duration) async throws {
        let broker = try BrokerAddress(url: url)
        let delay = TimeAmount.nanoseconds(Int64(delay / .nanoseconds(1)))
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { client in
                // Nothing is read before there is somebody to give it to.
                client.setOption(.autoRead, value: false).flatMap {
                    ClientBootstrap(group: client.eventLoop).connect(host: broker.host, port: broker.port)
                }.flatMapThrowing { peer in
                    try client.pipeline.syncOperations.addHandler(Relay(to: peer, delayingGoodbyeBy: delay))
                    try peer.pipeline.syncOperations.addHandler(Relay(to: client, delayingGoodbyeBy: nil))
                }.flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// What the client connects to.
    func url(of url: String) throws -> String {
        var components = try #require(URLComponents(string: url))
        components.host = "127.0.0.1"
        components.port = server.localAddress?.port
        return try #require(components.string)
    }

    func close() async throws { try await server.close() }
}

/// Gives on what it reads, in order.
private final class Relay: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let peer: any Channel
    private let delay: TimeAmount?
    private var isLeaving = false

    init(to peer: any Channel, delayingGoodbyeBy delay: TimeAmount?) {
        self.peer = peer
        self.delay = delay
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        if bytes.readableBytesView.isGoodbye { isLeaving = true }
        later(context) { $0.writeAndFlush(bytes, promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isLeaving = true
        later(context) { $0.close(promise: nil) }
    }

    private func later(_ context: ChannelHandlerContext, _ body: @escaping @Sendable (any Channel) -> Void) {
        let peer = peer
        guard isLeaving, let delay else { return body(peer) }
        context.eventLoop.scheduleTask(in: delay) { body(peer) }
    }
}

extension ByteBufferView {
    /// Whether a method frame `connection.close` on channel 0 is in it: type 1, channel, size, class 10, method 50.
    fileprivate var isGoodbye: Bool {
        let bytes = Array(self)
        return bytes.indices.contains { index in
            index + 11 <= bytes.count && bytes[index..<index + 3].elementsEqual([1, 0, 0])
                && bytes[index + 7..<index + 11].elementsEqual([0, 10, 0, 50])
        }
    }
}
