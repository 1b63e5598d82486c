internal import AnalyticsCore
internal import NIOCore

extension Asker {
    /// The client at the other end of a connection: it has gone when it closes it.
    init(_ channel: any Channel) {
        self.init {
            let (closing, isClosing) = AsyncStream<Void>.makeStream()
            channel.eventLoop.execute {
                guard let connection = try? channel.pipeline.syncOperations.handler(type: ConnectionTimeoutHandler.self) else { return }
                connection.whenHungUp { isClosing.finish() }
            }
            for await _ in closing {}
        }
    }
}
