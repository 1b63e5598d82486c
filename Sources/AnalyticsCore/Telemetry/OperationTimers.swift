internal import CoreMetrics
internal import Metrics

/// Times the operations of one port and counts those that fail.
struct OperationTimers: Sendable {
    private let timers: [String: (timer: Metrics.Timer, errors: Counter)]

    /// `port` is `store` or `broker`: the metrics are `analytics_<port>_operation_duration_seconds` and `analytics_<port>_errors_total`.
    init(port: String, operations: [String]) {
        timers = Dictionary(
            uniqueKeysWithValues: operations.map { operation in
                let dimensions = [("operation", operation)]
                return (
                    operation,
                    (
                        Metrics.Timer(label: "analytics_\(port)_operation_duration_seconds", dimensions: dimensions),
                        Counter(label: "analytics_\(port)_errors_total", dimensions: dimensions)
                    )
                )
            })
    }

    func time<R, E: Error>(_ operation: String, _ body: () async throws(E) -> R) async throws(E) -> R {
        let start = ContinuousClock.now
        defer { timers[operation]?.timer.recordNanoseconds((ContinuousClock.now - start).nanoseconds) }
        do {
            return try await body()
        } catch {
            failed(operation)
            throw error
        }
    }

    func failed(_ operation: String) {
        timers[operation]?.errors.increment()
    }
}
