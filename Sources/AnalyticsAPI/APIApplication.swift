internal import AnalyticsCore
public import CoreMetrics
internal import HTTPTypes
public import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
public import Logging
internal import NIOCore

/// Builds the router of the API. For tests, and for callers that run their own server.
public func makeRouter(
    services: APIServices, settings: APISettings, metricsFactory: any MetricsFactory = MetricsSystem.factory
) -> Router<APIRequestContext> {
    makeRouter(services: services, settings: settings, metricsFactory: metricsFactory, intake: IntakeRoute.standard)
}

func makeRouter(
    services: APIServices, part: APIPart = .all, settings: APISettings, memory: MemoryLimits? = nil,
    metricsFactory: any MetricsFactory = MetricsSystem.factory, intake: [IntakeRoute],
    logger: Logger = Logger(label: "analytics.api"), elapsed: ElapsedClock = .system
) -> Router<APIRequestContext> {
    let table = RouteTable(
        services: services, part: part, settings: settings, memory: memory, metricsFactory: metricsFactory, intake: intake, logger: logger)
    let router = Router(context: APIRequestContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: RequestMetrics(factory: metricsFactory))
    router.add(middleware: ProblemMiddleware(routes: table, projects: services.access?.directory, hasTLS: settings.certificate != nil))
    let admission = Admission(services, settings, elapsed: elapsed)
    for route in table.routes {
        router.on(RouterPath(route.path), method: route.method) { request, context in
            // The router treats `//metrics` and `/metrics/` as `/metrics`. A proxy may not, and its rules for a path compare bytes.
            guard RouteTable.isPlain(request.uri.path) else { throw HTTPError(.notFound) }
            return try await route.respond(to: request, context, admittedBy: admission)
        }
    }
    return router
}

/// Which routes are served.
public enum APIPart: Sendable {
    case all
    /// Health and metrics.
    case operations
    /// All routes except health and metrics.
    case events
}

/// The API as a service: run it in a `ServiceGroup`.
///
/// At a graceful shutdown it stops accepting connections, closes the idle ones, and lets each request in progress end with its response.
/// The group's `maximumGracefulShutdownDuration` limits how long that takes. A request takes at most the timeout of the broker's confirm or
/// of the store, because `?wait=stored` stops waiting at once.
///
/// - Parameters:
///   - part: Which routes this server serves.
///   - memory: Limits that are shared with another server; `nil` makes own ones from `settings`.
///   - onRunning: Called with the port once connections are accepted.
public func makeApplication(
    services: APIServices, part: APIPart = .all, settings: APISettings, memory: MemoryLimits? = nil, logger: Logger,
    onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let room = ConnectionRoom(limit: settings.maximumConnections)
    let timeouts = settings.timeouts
    let http1 = HTTP1Channel.Configuration(
        additionalChannelHandlers: [RequestRulesInstaller(), ConnectionTimeoutHandler(limits: timeouts, room: room)],
        httpDecoderConfiguration: .init(maxHeaderFieldSize: 32 * 1024, maxHeaderListSize: 64 * 1024, maxHeaderFieldCount: 200))
    let certificate = settings.certificate
    let server = HTTPServerBuilder { responder in
        let channel = HTTP1Channel(responder: responder, configuration: http1)
        guard let certificate else { return channel }
        return try TLSChannel(channel, tlsConfiguration: certificate.configuration())
    }
    return Application(
        router: makeRouter(
            services: services, part: part, settings: settings, memory: memory, intake: IntakeRoute.standard, logger: logger),
        server: server,
        configuration: ApplicationConfiguration(
            address: .hostname(settings.host, port: settings.port), serverName: settings.serverName, backlog: 1024,
            availableConnectionsDelegate: ConnectionRoom.Delegate(room: room)),
        onServerRunning: { channel in
            try? await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.addHandler(AcceptPause(room), position: .first)
            }.get()
            await onRunning(channel.localAddress?.port ?? settings.port)
        },
        logger: logger)
}

extension RouteTable {
    init(
        services: APIServices, part: APIPart = .all, settings: APISettings, memory: MemoryLimits? = nil,
        metricsFactory: any MetricsFactory = MetricsSystem.factory, intake: [IntakeRoute] = IntakeRoute.standard,
        logger: Logger = Logger(label: "analytics.api")
    ) {
        var routes: [Route] = []
        if part != .operations, let events = services.events {
            let memory = memory ?? MemoryLimits(settings, metricsFactory: metricsFactory)
            let (bodies, answers) = (memory.bodies, memory.answers)
            let clientAddress = ClientAddressRule(settings)
            let body = BodyReader(limit: settings.maximumBodyBytes, budget: bodies, clientAddress: clientAddress)
            routes +=
                CollectRoutes(
                    collector: events.collector, storedWait: events.storedWait, body: body, table: intake
                ).routes
            routes +=
                ExportRoute(
                    reader: events.reader, clock: events.clock,
                    slots: RequestSlots(
                        limit: settings.maximumExports, meter: MetricCatalogue.metrics.exportsRunning.makeMeter(factory: metricsFactory),
                        full: "The maximum number of exports is running (EXPORT_CONCURRENCY). Ask again when one has ended."),
                    answers: answers, exported: MetricCatalogue.metrics.exportedEvents.make(factory: metricsFactory)
                ).routes
            routes +=
                QueryRoutes(
                    reader: events.reader, engine: events.engine, zones: events.zones, clock: events.clock, answers: answers
                ).routes
            routes +=
                AnalyticsRoutes(
                    engine: events.engine, zones: events.zones, clock: events.clock,
                    body: BodyReader(limit: BodyNode.maximumBytes, budget: bodies, clientAddress: clientAddress), answers: answers
                ).routes
            routes += SchemaRoute(reader: events.reader, engine: events.engine, clock: events.clock, answers: answers).routes
            routes += UserRoute(reader: events.reader, engine: events.engine, clock: events.clock, answers: answers).routes
            routes += PipelineRoute(reader: events.pipeline, clock: events.clock, answers: answers).routes
            let live = LiveReader(engine: events.engine, reader: events.reader, pipeline: events.pipeline)
            routes +=
                LiveRoute(
                    feed: LiveFeed(
                        reader: live, limits: .init(readers: settings.maximumLiveReaders), clock: events.clock, logger: logger)
                ).routes
            routes +=
                ErasureRoutes(erasures: events.erasures, audit: services.access?.audit, clientAddress: clientAddress, answers: answers)
                .routes
            routes +=
                GraphiteRoutes(
                    engine: events.engine, zones: events.zones, clock: events.clock,
                    body: BodyReader(limit: GraphiteRequest.maximumBytes, budget: bodies, clientAddress: clientAddress), answers: answers
                ).routes
            if let access = services.access {
                let body = BodyReader(limit: BodyNode.maximumBytes, budget: bodies, clientAddress: clientAddress)
                routes += ProjectRoutes(projects: access.projects, zones: events.zones, body: body, answers: answers).routes
                routes += UsageRoutes(projects: access.projects, engine: events.engine, clock: events.clock, answers: answers).routes
                routes += KeyRoutes(keys: access.keys, projects: access.projects, body: body, answers: answers).routes
                routes += MemberRoutes(accounts: access.accounts, projects: access.projects, body: body, answers: answers).routes
                routes += AccountRoutes(accounts: access.accounts, clock: events.clock, body: body, answers: answers).routes
                routes +=
                    AuthRoutes(
                        signIn: access.signIn, projects: access.projects, cookie: .session(settings), body: body, answers: answers
                    ).routes
                if let provider = access.provider {
                    routes += OIDCRoutes(provider: provider, settings: settings, clientAddress: clientAddress).routes
                }
                routes += AuditRoute(audit: access.audit, projects: access.projects, answers: answers).routes
            }
            routes += DocumentRoutes(version: settings.serverVersion).routes
        }
        if part != .events {
            // A listener of its own is not for callers of the API.
            let admission = part == .operations ? nil : Admission(services, settings)
            routes += OperationRoutes(readiness: services.readiness, metrics: services.metrics, admission: admission).routes
        }
        self.init(routes: routes)
    }
}
