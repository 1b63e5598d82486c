/// A client that waits for an answer.
public struct Asker: Sendable {
    /// Returns when the client has disconnected, or when the task is cancelled. `nil` for a client that always waits.
    private let gone: (@Sendable () async -> Void)?

    /// Waits until the answer is complete.
    public static let staying = Asker(gone: nil)

    public init(gone: @escaping @Sendable () async -> Void) {
        self.init(gone: Optional(gone))
    }

    private init(gone: (@Sendable () async -> Void)?) {
        self.gone = gone
    }

    /// Returns when the client has disconnected, or when this task is cancelled. Returns at once for ``staying``.
    public func untilGone() async { await gone?() }

    /// Runs `body`, and cancels it when the client disconnects. Returns once it has ended.
    func whileWaiting<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        guard let gone else { return try await body() }
        return try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                await gone()
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
