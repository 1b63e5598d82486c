internal import CoreMetrics
internal import Metrics
public import ServiceLifecycle

/// Reads what is no event but a state (queue sizes, dependencies) into gauges, every few seconds.
public struct StateReporter: Service {
    private let store: any StoreLifecycle
    private let broker: any Broker
    private let cache: any CountCache
    private let elapsed: ElapsedClock

    private static let interval: Duration = .seconds(5)

    public init(store: any StoreLifecycle, broker: any Broker, cache: any CountCache, elapsed: ElapsedClock = .system) {
        self.elapsed = elapsed
        self.store = store
        self.broker = broker
        self.cache = cache
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
        for dependency in await Dependencies(store: store, broker: broker, cache: cache).check().dependencies {
            MetricCatalogue.metrics.dependencyUp.make(dependency.name).record(dependency.health == .up ? 1 : 0)
        }
    }
}
