/// The time until which a caller waits for a port.
///
/// It belongs to the task, as cancellation does: every operation inside ``within(_:_:)`` has it, and no function needs to pass it on. A
/// store begins no operation after it; a running operation may last until the adapter's own limit (docs/decisions/deadlines.md).
public struct Deadline: Sendable, Equatable {
    public let instant: ContinuousClock.Instant

    /// The deadline of this task; `nil` if none is set: then only the adapter's limits apply.
    @TaskLocal public static var current: Deadline?

    public init(_ instant: ContinuousClock.Instant) {
        self.instant = instant
    }

    /// Zero after the deadline.
    public var remaining: Duration { max(.zero, instant - .now) }

    public var hasPassed: Bool { instant <= .now }

    /// Runs `body` with a deadline `time` from now, or the current one if that is earlier.
    public static func within<Value, Failure: Error>(
        _ time: Duration, isolation: isolated (any Actor)? = #isolation, _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let instant = min(current?.instant ?? .now + time, .now + time)
        // `withValue` does not support typed throws.
        let result: Result<Value, Failure> = await $current.withValue(Deadline(instant)) {
            do throws(Failure) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// For adapters whose operations end on cancellation: runs `body`, and cancels it at the task's deadline. Returns or throws after it
    /// has ended; throws ``DeadlineError`` if the deadline ended it.
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

/// An operation did not finish by its caller's deadline.
public struct DeadlineError: Error, CustomStringConvertible {
    public init() {}

    public var description: String { "not done by its deadline" }
}
