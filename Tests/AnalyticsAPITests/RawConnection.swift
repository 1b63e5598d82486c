import NIOCore
import NIOPosix

/// A TCP connection that says exactly what it is told to.
struct RawConnection {
    struct Transcript: Sendable {
        var text = ""
        /// The service closed the connection, within the time given.
        var isClosed = false
        var duration: Duration = .zero

        var status: Int? { text.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
    }

    let port: Int
    /// The address that it comes from: all of 127.0.0.0/8 are this machine's.
    var localAddress = "127.0.0.1"

    /// Sends `parts`, `pause` apart, and receives until the service closes, `until` appears or the time is up.
    func exchange(
        _ parts: some Sequence<String> & Sendable, pause: Duration = .zero, until: String? = nil, closingAfter: Bool = false,
        limit: Duration = .seconds(60)
    ) async throws -> Transcript {
        try await exchange(
            bytes: parts.map { Array($0.utf8) }, pause: pause, until: until, closingAfter: closingAfter, limit: limit)
    }

    func exchange(
        bytes parts: [[UInt8]], pause: Duration = .zero, until: String? = nil, closingAfter: Bool = false, limit: Duration = .seconds(60)
    ) async throws -> Transcript {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: SocketAddress(ipAddress: localAddress, port: 0))
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let start = ContinuousClock.now
        return try await channel.executeThenClose { inbound, outbound in
            await withTaskGroup(of: Transcript?.self) { group in
                group.addTask {
                    for part in parts {
                        do { try await outbound.write(ByteBuffer(bytes: part)) } catch { return nil }
                        if pause > .zero { try? await Task.sleep(for: pause) }
                        if Task.isCancelled { return nil }
                    }
                    if closingAfter { try? await channel.channel.close() }
                    return nil
                }
                group.addTask { await Self.receive(inbound, until: until) }
                group.addTask {
                    try? await Task.sleep(for: limit)
                    try? await channel.channel.close()
                    return nil
                }
                for await result in group {
                    guard var transcript = result else { continue }
                    transcript.duration = start.duration(to: .now)
                    transcript.isClosed = transcript.isClosed && transcript.duration < limit
                    group.cancelAll()
                    return transcript
                }
                return Transcript()
            }
        }
    }

    private static func receive(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, until: String?) async -> Transcript {
        var transcript = Transcript()
        do {
            for try await bytes in inbound {
                transcript.text += String(buffer: bytes)
                if let until, transcript.text.contains(until) { return transcript }
            }
        } catch {}
        transcript.isClosed = true
        return transcript
    }
}
