internal import AnalyticsCore
internal import NIOCore

/// The connection of a request.
struct ClientConnection: Sendable {
    private let channel: any Channel

    init(_ channel: any Channel) {
        self.channel = channel
    }

    /// The client at the other end. It is gone when it closes the connection.
    var asker: Asker {
        Asker { [self] in
            let (closing, isClosing) = AsyncStream<Void>.makeStream()
            tell { $0.whenHungUp { isClosing.finish() } }
            for await _ in closing {}
        }
    }

    /// Sends `100 Continue` to a client that waits for it before it sends the body.
    func expectsBody() {
        tell { $0.expectsBody() }
    }

    /// Returns once the kernel has all written bytes, or the connection has ended (``ConnectionTimeouts`` limits the wait). Closing earlier
    /// would drop the unsent bytes.
    func drained() async {
        while channel.isActive, let waiting = try? await channel.getOption(.bufferedWritableBytes).get(), waiting > 0 {
            guard (try? await Task.sleep(for: .milliseconds(10))) != nil else { return }
        }
    }

    private func tell(_ body: @escaping @Sendable (ConnectionTimeoutHandler) -> Void) {
        channel.eventLoop.execute { [channel] in
            if let handler = try? channel.pipeline.syncOperations.handler(type: ConnectionTimeoutHandler.self) { body(handler) }
        }
    }
}
