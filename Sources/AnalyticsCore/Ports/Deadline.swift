/// The time until which a caller waits for a port.
///
/// It belongs to the task, as cancellation does: every operation inside ``within(_:_:)`` has it, and no function needs to pass it on. A
/// store begins no operation after it; a running operation may last until the adapter's own limit (docs/decisions/deadlines.md).
public struct Deadline: Sendable, Equatable {
    public let instant: ContinuousClock.Instant
    /// Whether something cancels the task at the deadline, so that ``enforce(_:)`` needs no timer of its own.
    let cancelsTask: Bool

    /// The deadline of this task; `nil` if none is set: then only the adapter's limits apply.
    @TaskLocal public static var current: Deadline?

    public init(_ instant: ContinuousClock.Instant, cancelsTask: Bool = false) {
        self.instant = instant
        self.cancelsTask = cancelsTask
    }

    /// Zero after the deadline.
    public var remaining: Duration { max(.zero, instant - .now) }

    public var hasPassed: Bool { instant <= .now }

    /// Runs `body` with a deadline `time` from now, or the current one if that is earlier.
    ///
    /// - Parameter cancelsTask: The caller cancels the task of `body` at that time.
    public static func within<Value, Failure: Error>(
        _ time: Duration, cancelsTask: Bool = false, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let new = Deadline(.now + time, cancelsTask: cancelsTask)
        let deadline = current.flatMap { $0.instant < new.instant ? $0 : nil } ?? new
        // `withValue` does not support typed throws.
        let result: Result<Value, Failure> = await $current.withValue(deadline) {
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
        guard !current.cancelsTask else { return try await body() }
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
