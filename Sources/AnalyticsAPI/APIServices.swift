public import AnalyticsCore

/// What the API answers from.
public struct APIServices: Sendable {
    /// `nil` where the process serves no events (a processor): then only the routes for running it are there.
    var events: EventServices?
    var readiness: @Sendable () async -> Readiness
    var metrics: (@Sendable () -> [UInt8])?
    var authenticator: any Authenticator

    /// - Parameters:
    ///   - authenticator: Decides whose events a request is about, and what it may do.
    ///   - readiness: Asks each dependency; must return within a few seconds whatever happens to them.
    ///   - metrics: Renders the Prometheus text format; `nil` answers 404 (`ENABLE_METRICS=false`).
    public init(
        collector: Collector, reader: EventReader, engine: QueryEngine, pipeline: PipelineReader, storedWait: StorageWaiter,
        erasures: Erasures,
        zones: ZoneDatabase = .system, clock: WallClock, authenticator: any Authenticator,
        readiness: @escaping @Sendable () async -> Readiness, metrics: (@Sendable () -> [UInt8])?
    ) {
        events = EventServices(
            collector: collector, reader: reader, engine: engine, pipeline: pipeline, storedWait: storedWait, erasures: erasures,
            zones: zones,
            clock: clock)
        self.authenticator = authenticator
        self.readiness = readiness
        self.metrics = metrics
    }

    /// Health and metrics only.
    public init(readiness: @escaping @Sendable () async -> Readiness, metrics: (@Sendable () -> [UInt8])?) {
        authenticator = AnonymousAccess()
        self.readiness = readiness
        self.metrics = metrics
    }
}

struct EventServices: Sendable {
    var collector: Collector
    var reader: EventReader
    var engine: QueryEngine
    var pipeline: PipelineReader
    var storedWait: StorageWaiter
    var erasures: Erasures
    var zones: ZoneDatabase
    var clock: WallClock
}
