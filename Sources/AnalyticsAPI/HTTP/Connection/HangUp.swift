internal import NIOCore

/// Cancels work that nobody waits for any more, because the client has closed its connection.
struct HangUp: Sendable {
    let channel: any Channel

    /// Work that takes no longer is not watched: most answers come out of a cache, and are done by then.
    private static let grace = Duration.milliseconds(50)

    /// Returns once `body` has ended.
    func cancelling<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: Self.grace)
                await closing()
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }

    /// Returns when the client has closed the connection, or when cancelled.
    private func closing() async {
        let (closing, isClosing) = AsyncStream<Void>.makeStream()
        channel.eventLoop.execute {
            guard let connection = try? channel.pipeline.syncOperations.handler(type: ConnectionGuard.self) else { return }
            connection.whenHungUp { isClosing.finish() }
        }
        for await _ in closing {}
    }
}
