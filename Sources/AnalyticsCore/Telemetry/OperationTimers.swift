internal import CoreMetrics
internal import Metrics

/// The operations of one port, by their names in metrics.
package protocol PortOperation: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    static var durations: HistogramMetric { get }
    static var errors: CounterMetric { get }
}

/// Times the operations of an adapter and counts failures. Each adapter has one instance, used by all of its operations. The metrics exist
/// from the start, at 0.
package struct OperationTimers<Operation: PortOperation>: Sendable {
    private let timers: [Operation: (timer: Metrics.Timer, errors: Counter)]

    package init() {
        timers = Dictionary(
            uniqueKeysWithValues: Operation.allCases.map {
                ($0, (Operation.durations.makeTimer($0.rawValue), Operation.errors.make($0.rawValue)))
            })
    }

    /// Runs `body`. An operation that its caller has cancelled is timed but does not count as failed.
    package func time<R, E: Error>(_ operation: Operation, _ body: () async throws(E) -> R) async throws(E) -> R {
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
