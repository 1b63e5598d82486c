internal import Synchronization

/// Bounds how many questions run at a time, how many may wait for their turn, and how long each may take, including its wait.
///
/// A question that ends early, at its deadline or because the caller has disconnected, is cancelled, and the store stops working on it.
public final class QueryGate: Sendable {
    public struct Limits: Sendable {
        public var concurrent: Int
        public var waiting: Int
        public var timeout: Duration

        public init(concurrent: Int = 4, waiting: Int = 64, timeout: Duration = .seconds(30)) {
            self.concurrent = concurrent
            self.waiting = waiting
            self.timeout = timeout
        }
    }

    private enum Turn {
        case mine
        case tooMany
        case cancelled
    }

    private struct State {
        var tickets = 0
        var questions: QuestionQueue<CheckedContinuation<Turn, Never>>
    }

    private let limits: Limits
    private let elapsed: ElapsedClock
    private let state: Mutex<State>

    public init(limits: Limits = Limits(), elapsed: ElapsedClock = .system) {
        self.limits = limits
        self.elapsed = elapsed
        state = Mutex(State(questions: QuestionQueue(places: limits.concurrent, room: limits.waiting)))
    }

    /// The time that a question may take, including its wait.
    var timeout: Duration { limits.timeout }

    /// Questions that run, and questions that wait for their turn.
    var load: (running: Int, waiting: Int) { state.withLock { ($0.questions.running, $0.questions.waitingCount) } }

    /// Runs `body` when it gets its turn. Throws a ``QueryLimitError`` when too many wait already, or when it is not done in time:
    /// then `body` is cancelled, and this returns once it has ended.
    ///
    /// - Parameter project: Projects take turns (``QuestionQueue``). `nil` for the service's own questions.
    public func callAsFunction<Value: Sendable>(
        for project: ProjectID?, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask {
                switch await self.enter(project) {
                case .mine: break
                case .tooMany: throw QueryLimitError.tooMany
                case .cancelled: throw CancellationError()
                }
                defer { self.leave(project) }
                do {
                    return try await Deadline.within(self.limits.timeout, cancelsTask: true) { try await body() }
                } catch let error as StoreError where error.code == .timedOut {
                    // The store's limit may come first.
                    throw QueryLimitError.timeout(self.limits.timeout)
                }
            }
            group.addTask {
                try await self.elapsed.sleep(self.limits.timeout)
                throw QueryLimitError.timeout(self.limits.timeout)
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }

    private func enter(_ project: ProjectID?) async -> Turn {
        let ticket = state.withLock { state in
            state.tickets += 1
            return state.tickets
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let entry = state.withLock { state in
                    Task.isCancelled ? nil : state.questions.enter(project, ticket: ticket, continuation)
                }
                switch entry {
                case .begun: continuation.resume(returning: .mine)
                case .waits: break
                case .displaces(let other): other.resume(returning: .tooMany)
                case .refused: continuation.resume(returning: .tooMany)
                case nil: continuation.resume(returning: .cancelled)
                }
            }
        } onCancel: {
            state.withLock { $0.questions.remove(ticket) }?.resume(returning: .cancelled)
        }
    }

    private func leave(_ project: ProjectID?) {
        state.withLock { $0.questions.leave(project) }?.resume(returning: .mine)
    }
}

/// A question was not answered because of a limit on all questions.
public enum QueryLimitError: Error, Equatable {
    /// The queue of waiting questions is full.
    case tooMany
    /// It was not done within this time, and was cancelled.
    case timeout(Duration)
}
