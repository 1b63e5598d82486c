internal import CoreMetrics
internal import Metrics

/// The operations of one port, under the names that metrics give them.
public protocol PortOperation: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    /// `store` or `broker`.
    static var port: String { get }
}

/// Times the operations of an adapter and counts those that fail. Each adapter has one, in the one place that all its operations pass.
///
/// The metrics are `analytics_<port>_operation_duration_seconds` and `analytics_<port>_errors_total`. They exist from the start, at 0.
public struct OperationTimers<Operation: PortOperation>: Sendable {
    private let timers: [Operation: (timer: Metrics.Timer, errors: Counter)]

    public init() {
        timers = Dictionary(
            uniqueKeysWithValues: Operation.allCases.map { operation in
                let dimensions = [("operation", operation.rawValue)]
                return (
                    operation,
                    (
                        Metrics.Timer(label: "analytics_\(Operation.port)_operation_duration_seconds", dimensions: dimensions),
                        Counter(label: "analytics_\(Operation.port)_errors_total", dimensions: dimensions)
                    )
                )
            })
    }

    /// Runs `body`. One that its caller has cancelled is timed, and is no failure.
    public func time<R, E: Error>(_ operation: Operation, _ body: () async throws(E) -> R) async throws(E) -> R {
        let start = ContinuousClock.now
        defer { timers[operation]?.timer.recordNanoseconds((ContinuousClock.now - start).nanoseconds) }
        do {
            return try await body()
        } catch {
            if !Task.isCancelled { failed(operation) }
            throw error
        }
    }

    func failed(_ operation: Operation) {
        timers[operation]?.errors.increment()
    }
}
