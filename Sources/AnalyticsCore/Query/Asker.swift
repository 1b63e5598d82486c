/// Whoever waits for an answer.
public struct Asker: Sendable {
    /// Returns when the asker has gone, or when it is cancelled; `nil` for one that stays.
    private let gone: (@Sendable () async -> Void)?

    /// One that waits for the answer to its end.
    public static let staying = Asker(gone: nil)

    public init(gone: @escaping @Sendable () async -> Void) {
        self.init(gone: Optional(gone))
    }

    private init(gone: (@Sendable () async -> Void)?) {
        self.gone = gone
    }

    /// Returns when the asker has gone, or when this task is cancelled. Of one that stays at once.
    public func untilGone() async { await gone?() }

    /// Runs `body`, which is cancelled when the asker goes. Returns once it has ended.
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
