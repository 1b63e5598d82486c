internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle
internal import Synchronization

/// Reads states (queue sizes, dependencies) into gauges every few seconds. Logs when a dependency goes down, with the reason, and when it
/// is up again.
public struct StateReporter: Service {
    private let broker: any Broker
    private let dependencies: Dependencies
    private let log: DependencyLog
    private let elapsed: ElapsedClock

    private static let interval: Duration = .seconds(5)

    public init(broker: any Broker, dependencies: Dependencies, elapsed: ElapsedClock = .system, logger: Logger) {
        self.broker = broker
        self.dependencies = dependencies
        self.elapsed = elapsed
        log = DependencyLog(logger)
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { await report() }
    }

    private func report() async {
        let depths = try? await broker.depths()
        for (state, count) in [("ready", depths?.ready), ("unacked", depths?.unacknowledged), ("dead", depths?.dead)] {
            // Not the last known number: it would hide that the read fails.
            MetricCatalogue.metrics.queueMessages.make(state).record(count.map(Double.init) ?? .nan)
        }
        let readiness = await dependencies.check()
        // A check that a shutdown has cancelled does not mean that the dependency is down.
        guard !Task.isCancelled else { return }
        for dependency in readiness.dependencies {
            MetricCatalogue.metrics.dependencyUp.make(dependency.name).record(dependency.health == .up ? 1 : 0)
            log.saw(dependency)
        }
    }
}

/// One line per change. The only place that reports why a dependency is down: responses do not.
final class DependencyLog: Sendable {
    private let logger: Logger
    private let down = Mutex<Set<String>>([])

    init(_ logger: Logger) {
        self.logger = logger
    }

    func saw(_ dependency: Readiness.Dependency) {
        let fault = dependency.health.fault
        let hasChanged = down.withLock { fault == nil ? $0.remove(dependency.name) != nil : $0.insert(dependency.name).inserted }
        guard hasChanged else { return }
        if let fault {
            logger.warning("Dependency down", metadata: ["dependency": "\(dependency.name)", "error": "\(fault)"])
        } else {
            logger.notice("Dependency up again", metadata: ["dependency": "\(dependency.name)"])
        }
    }
}
