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
            Gauge(label: "analytics_queue_messages", dimensions: [("state", state)]).record(count.map(Double.init) ?? .nan)
        }
        for (name, state) in await Dependencies(store: store, broker: broker, cache: cache).check() {
            Gauge(label: "analytics_dependency_up", dimensions: [("dependency", name)]).record(state.isUp ? 1 : 0)
        }
    }
}

/// What the service needs, and whether it is there.
public struct Dependencies: Sendable {
    public struct State: Sendable, Equatable {
        public var isUp: Bool
        /// Without it the service is only slower.
        public var isOptional: Bool
        public var message: String?

        public init(isUp: Bool, isOptional: Bool = false, message: String? = nil) {
            self.isUp = isUp
            self.isOptional = isOptional
            self.message = message
        }
    }

    private let store: any StoreLifecycle
    private let broker: any Broker
    private let cache: any CountCache

    /// How long one is waited for.
    private static let timeout: Duration = .seconds(2)

    public init(store: any StoreLifecycle, broker: any Broker, cache: any CountCache) {
        self.store = store
        self.broker = broker
        self.cache = cache
    }

    /// `store`, `broker` and `cache`, asked at the same time.
    public func check() async -> [String: State] {
        async let store = storeState()
        async let broker = brokerState()
        async let cache = cache.isAvailable()
        return await ["store": store, "broker": broker, "cache": State(isUp: cache, isOptional: true)]
    }

    private func storeState() async -> State {
        do throws(StoreError) {
            try await Deadline.within(Self.timeout) { () throws(StoreError) in try await store.checkHealth() }
            return State(isUp: true)
        } catch {
            return State(isUp: false, message: error.message)
        }
    }

    private func brokerState() async -> State {
        do throws(BrokerError) {
            try await broker.checkHealth()
            return State(isUp: true)
        } catch {
            return State(isUp: false, message: error.message)
        }
    }
}
