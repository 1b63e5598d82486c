/// Whether a dependency can be used.
public enum Health: Sendable, Equatable {
    case up
    /// With the reason.
    case down(String)

    public var fault: String? {
        if case .down(let message) = self { message } else { nil }
    }
}

/// Whether the service can work, by dependency.
public struct Readiness: Sendable, Equatable {
    public struct Dependency: Sendable, Equatable {
        /// A short stable name: `broker`, `store`, `cache`.
        public var name: String
        public var health: Health
        /// Whether the service is not ready without it. The cache is not required.
        public var isRequired: Bool

        public init(name: String, health: Health = .up, isRequired: Bool = true) {
            self.name = name
            self.health = health
            self.isRequired = isRequired
        }
    }

    public var dependencies: [Dependency]

    public init(_ dependencies: [Dependency]) {
        self.dependencies = dependencies
    }

    public var isReady: Bool { dependencies.allSatisfy { $0.health == .up || !$0.isRequired } }
}

/// The dependencies of the service.
public struct Dependencies: Sendable {
    private let store: any StoreLifecycle
    private let broker: any Broker
    private let cache: any CountCache

    /// Timeout of the store's check.
    private static let timeout: Duration = .seconds(2)

    public init(store: any StoreLifecycle, broker: any Broker, cache: any CountCache) {
        self.store = store
        self.broker = broker
        self.cache = cache
    }

    /// Checks all concurrently. An API that only ingests works without the store: then `needsStore` is false.
    public func check(needsStore: Bool = true) async -> Readiness {
        async let broker = health { () throws(BrokerError) in
            try await self.broker.checkHealth()
        } message: {
            $0.message
        }
        async let cache = self.cache.health()
        async let store = health { () throws(StoreError) in
            try await Deadline.within(Self.timeout) { () throws(StoreError) in try await self.store.checkHealth() }
        } message: {
            $0.message
        }
        return await Readiness([
            .init(name: "broker", health: broker), .init(name: "cache", health: cache, isRequired: false),
            .init(name: "store", health: store, isRequired: needsStore),
        ])
    }

    private func health<Failure: Error>(
        _ check: () async throws(Failure) -> Void, message: (Failure) -> String
    ) async -> Health {
        do throws(Failure) {
            try await check()
            return .up
        } catch {
            return .down(message(error))
        }
    }
}
