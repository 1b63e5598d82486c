public import AnalyticsCore

/// What the API answers from.
public struct APIServices: Sendable {
    /// `nil` where the process serves no events (a processor): then only the routes for running it are there.
    var events: EventServices?
    var readiness: @Sendable () async -> Readiness
    var metrics: (@Sendable () -> [UInt8])?

    /// - Parameters:
    ///   - readiness: Asks each dependency; must return within a few seconds whatever happens to them.
    ///   - metrics: Renders the Prometheus text format; `nil` answers 404 (`ENABLE_METRICS=false`).
    public init(
        collector: Collector, reader: EventReader, counter: EventCounter, storedWait: StoredWait,
        readiness: @escaping @Sendable () async -> Readiness, metrics: (@Sendable () -> [UInt8])?
    ) {
        events = EventServices(collector: collector, reader: reader, counter: counter, storedWait: storedWait)
        self.readiness = readiness
        self.metrics = metrics
    }

    /// Health and metrics only.
    public init(readiness: @escaping @Sendable () async -> Readiness, metrics: (@Sendable () -> [UInt8])?) {
        self.readiness = readiness
        self.metrics = metrics
    }
}

struct EventServices: Sendable {
    var collector: Collector
    var reader: EventReader
    var counter: EventCounter
    var storedWait: StoredWait
}

/// Whether the service can do its work, dependency by dependency.
public struct Readiness: Sendable, Equatable {
    public struct Dependency: Sendable, Equatable {
        /// A short stable name: `broker`, `store`, `cache`.
        public var name: String
        /// What stands against it; `nil` when it is up.
        public var fault: String?
        /// Whether the service is not ready without it. It does without the cache.
        public var isRequired: Bool

        public init(name: String, fault: String? = nil, isRequired: Bool = true) {
            self.name = name
            self.fault = fault
            self.isRequired = isRequired
        }
    }

    public var dependencies: [Dependency]

    public init(_ dependencies: [Dependency]) {
        self.dependencies = dependencies
    }

    public var isReady: Bool { dependencies.allSatisfy { $0.fault == nil || !$0.isRequired } }
}
