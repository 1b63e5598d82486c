public import AnalyticsCore
public import ServiceLifecycle

/// The services behind the API's routes.
public struct APIServices: Sendable {
    /// `nil` if the process serves no events (a processor): only the operations routes exist then.
    var events: EventServices?
    var readiness: @Sendable () async -> Readiness
    var metrics: (@Sendable () -> [UInt8])?
    var authenticator: any Authenticator
    /// `nil`: no routes about projects, keys and accounts, and no rates.
    var access: AccessServices?

    /// What has to run beside the API, and to end after it.
    public var background: [any Service] { access?.signIn.background ?? [] }

    /// - Parameters:
    ///   - authenticator: Decides which project a request is for, and its scopes.
    ///   - access: Projects, keys and accounts; `nil`: they cannot be managed over HTTP, nobody signs in, no project is archived or has
    ///     rates.
    ///   - readiness: Checks each dependency. Must return within a few seconds even if all are down.
    ///   - metrics: Renders the Prometheus text format; `nil`: the route answers 404 (`ENABLE_METRICS=false`).
    public init(
        collector: Collector, reader: EventReader, engine: QueryEngine, pipeline: PipelineReader, storedWait: StorageWaiter,
        erasures: Erasures,
        zones: ZoneDatabase = .system, clock: WallClock, authenticator: any Authenticator, access: AccessServices? = nil,
        readiness: @escaping @Sendable () async -> Readiness, metrics: (@Sendable () -> [UInt8])?
    ) {
        events = EventServices(
            collector: collector, reader: reader, engine: engine, pipeline: pipeline, storedWait: storedWait, erasures: erasures,
            zones: zones,
            clock: clock)
        self.authenticator = authenticator
        self.access = access
        self.readiness = readiness
        self.metrics = metrics
    }

    /// Health and metrics only.
    ///
    /// - Parameter authenticator: Decides whether the caller sees metrics of projects.
    public init(
        authenticator: any Authenticator = AnonymousAccess(), readiness: @escaping @Sendable () async -> Readiness,
        metrics: (@Sendable () -> [UInt8])?
    ) {
        self.authenticator = authenticator
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
