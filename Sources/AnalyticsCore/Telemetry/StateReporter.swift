internal import CoreMetrics
internal import Metrics
public import ServiceLifecycle

/// Reads what is no event but a state (queue sizes, dependencies) into gauges, every few seconds.
public struct StateReporter: Service {
    private let broker: any Broker
    private let dependencies: Dependencies
    private let elapsed: ElapsedClock

    private static let interval: Duration = .seconds(5)

    public init(broker: any Broker, dependencies: Dependencies, elapsed: ElapsedClock = .system) {
        self.broker = broker
        self.dependencies = dependencies
        self.elapsed = elapsed
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { await report() }
    }

    private func report() async {
        let depths = try? await broker.depths()
        for (state, count) in [("ready", depths?.ready), ("unacked", depths?.unacknowledged), ("dead", depths?.dead)] {
            // Not the last known number, which would look as if all were well.
            MetricCatalogue.metrics.queueMessages.make(state).record(count.map(Double.init) ?? .nan)
        }
        for dependency in await dependencies.check().dependencies {
            MetricCatalogue.metrics.dependencyUp.make(dependency.name).record(dependency.health == .up ? 1 : 0)
        }
    }
}
