/// The moment up to which a caller waits for what it asks of a port.
///
/// It belongs to the task, as cancellation does: every operation that runs inside ``within(_:_:)`` has it, and no function in between has
/// to pass it on. A store begins no operation after it; what is under way may last until a limit of the adapter's own
/// (docs/decisions/deadlines.md).
public struct Deadline: Sendable, Equatable {
    public let instant: ContinuousClock.Instant

    /// Of this task; `nil` when nothing was said: then the adapter's own limits hold.
    @TaskLocal public static var current: Deadline?

    public init(_ instant: ContinuousClock.Instant) {
        self.instant = instant
    }

    /// Zero once it has passed.
    public var remaining: Duration { max(.zero, instant - .now) }

    public var hasPassed: Bool { instant <= .now }

    /// Runs `body` under a deadline that is `time` from now, or the one that is there if that is earlier.
    public static func within<Value, Failure: Error>(
        _ time: Duration, isolation: isolated (any Actor)? = #isolation, _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let instant = min(current?.instant ?? .now + time, .now + time)
        // `withValue` does not know typed throws.
        let result: Result<Value, Failure> = await $current.withValue(Deadline(instant)) {
            do throws(Failure) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// For adapters whose operations end when they are cancelled: runs `body`, which is cancelled at the task's deadline. Returns or throws
    /// once it has ended, ``DeadlineError`` if it was the deadline that ended it.
    public static func enforce<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        guard let current else { return try await body() }
        guard !current.hasPassed else { throw DeadlineError() }
        return try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(until: current.instant)
                throw DeadlineError()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}

/// An operation was not done by its caller's deadline.
public struct DeadlineError: Error, CustomStringConvertible {
    public init() {}

    public var description: String { "not done by its deadline" }
}
