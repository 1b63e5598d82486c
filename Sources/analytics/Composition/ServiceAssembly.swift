internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsGRPC
internal import AnalyticsOIDC
internal import Hummingbird
internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// Assembles the services of a role and runs them until a signal arrives.
struct ServiceAssembly: Sendable {
    var settings: Settings
    var backends: Backends
    /// Renders /metrics; `nil` if metrics are off.
    var metrics: (@Sendable () -> [UInt8])?
    /// The database of `GEOIP_DATABASE`, if set.
    var countries: (any CountryDatabase)?
    /// That of `TLS_CERTIFICATE`, if set.
    var certificate: ServerCertificate?
    /// Descriptors that this process may have open.
    var descriptors: Int
    var logger: Logger
    /// Read at the start, so that the API goes on serving if the store fails before the first request.
    var latch: AnonymousLatch

    func run(_ role: Serve.Role) async throws {
        var services: [any Service] = [backends]
        // The API serves while the store is down: it accepts events and answers questions with 503. A processor needs the store.
        if role == .api {
            services.append(StorePreparation { try await prepareStore(role, attempts: .max) })
        } else {
            do {
                try await prepareStore(role, attempts: 60)
            } catch {
                await backends.shutdown()
                throw error
            }
        }
        let keys = KeyDirectory(store: backends.store, clock: .system, logger: logger)
        services.append(keys)
        let ingest = role == .processor ? nil : makeIngest()
        if let ingest { services += following(ingest) }
        if role != .api { services += processing() }
        services.append(StateReporter(broker: backends.broker, dependencies: dependencies, logger: logger))
        if let certificate { services.append(CertificateRenewal(certificate: certificate, logger: logger)) }
        services += api(role, keys, ingest)
        // Ended in reverse order, also after a failure: first the API, so that no more events are accepted while the processor drains.
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as BrokerError where error.code == .owned {
            throw SettingsError("RABBITMQ_URL does not go with \(storeSetting): \(error.message)")
        }
    }

    private func processing() -> [any Service] {
        [
            Roller(store: backends.store, clock: .system, logger: logger),
            SegmentBuilder(store: backends.store, clock: .system, logger: logger),
            ErasureWorker(
                store: backends.store, letters: backends.broker, clock: .system, makeID: .uuid7(clock: .system), logger: logger),
            RetentionSweeper(store: backends.store, firstRetentionDays: firstRetentionDays, clock: .system, logger: logger),
            RecordSweeper(store: backends.store, clock: .system, logger: logger),
            Processor(
                broker: backends.broker, store: backends.store,
                enrichments: Enrichments.standard(keepClientAddress: settings.keepClientAddress, countries: countries),
                settings: settings.processor, firstRetentionDays: firstRetentionDays, clock: .system,
                makeID: .uuid7(clock: .system), logger: logger),
        ]
    }

    /// What ingest shares with the services that keep it up to date.
    private struct Ingest {
        var horizons: IngestHorizons
        var visitors: VisitorIdentifier
        var ledger: PipelineLedger
        var projects: ProjectDirectory
        var rates: RateLimiter
    }

    private func makeIngest() -> Ingest {
        let projects = ProjectDirectory()
        return Ingest(
            horizons: IngestHorizons(firstRetentionDays: firstRetentionDays),
            visitors: VisitorIdentifier(store: backends.store, clock: .system),
            ledger: PipelineLedger(store: backends.store, ids: .uuid7(clock: .system), logger: logger), projects: projects,
            rates: RateLimiter(projects: projects, store: backends.rates))
    }

    private func following(_ ingest: Ingest) -> [any Service] {
        [
            ingest.ledger, PipelineAuditor(store: backends.store, clock: .system),
            ProjectFollower(
                store: backends.store, horizons: ingest.horizons, visitors: ingest.visitors, directory: ingest.projects, logger: logger),
        ]
    }

    private var storeSetting: String {
        settings.backends.mongoURI == nil ? "DATA_DIR=\(settings.backends.dataDirectory)" : "this MONGODB_URI"
    }

    private var dependencies: Dependencies {
        Dependencies(store: backends.store, broker: backends.broker, cache: backends.cache)
    }

    private var firstRetentionDays: Int { settings.retentionDays ?? 0 }

    /// The services behind the API's routes, and the engine of its questions; only health and metrics without `ingest`.
    private func apiServices(
        _ keys: KeyDirectory, _ ingest: Ingest?, _ apiSettings: APISettings, _ readiness: @escaping @Sendable () async -> Readiness
    ) -> (services: APIServices, engine: QueryEngine?) {
        let sessions = SessionDirectory(store: backends.store, clock: .system)
        let authenticator = KeyAccess(
            directory: keys, sessions: sessions, latch: latch, allowsAnonymous: settings.server.allowsAnonymous,
            adminToken: settings.server.adminToken, settings: apiSettings)
        guard let ingest, let store = backends.questions else {
            return (APIServices(authenticator: authenticator, readiness: readiness, metrics: metrics), nil)
        }
        let gate = QueryGate(limits: settings.queries)
        let engine = QueryEngine(store: store, cache: backends.cache, gate: gate)
        let services = APIServices(
            collector: Collector(
                publisher: backends.broker, limits: settings.events, horizons: ingest.horizons, visitors: ingest.visitors,
                ledger: ingest.ledger, rates: ingest.rates, clock: .system, ids: .uuid7(clock: .system)),
            reader: EventReader(store: store, gate: gate), engine: engine,
            pipeline: PipelineReader(store: store, gate: gate, clock: .system), storedWait: StorageWaiter(store: backends.store),
            erasures: Erasures(store: backends.store, clock: .system, ids: .uuid7(clock: .system)), clock: .system,
            authenticator: authenticator, access: accessServices(ingest, sessions), readiness: readiness, metrics: metrics)
        return (services, engine)
    }

    private func accessServices(_ ingest: Ingest, _ sessions: SessionDirectory) -> AccessServices {
        let (store, ids) = (backends.store, IDGenerator.uuid7(clock: .system))
        let audit = AuditLog(store: store, clock: .system, ids: ids)
        // One for the process: it limits how many passwords are hashed at a time.
        let hasher = ScryptHasher()
        let signIn = SignIn(store: store, hasher: hasher, sessions: sessions, clock: .system, ids: ids, audit: audit)
        return AccessServices(
            keys: Keys(store: store, clock: .system, audit: audit), projects: Projects(store: store, clock: .system, audit: audit),
            accounts: Accounts(store: store, hasher: hasher, clock: .system, ids: ids, audit: audit, logger: logger),
            signIn: signIn,
            provider: settings.server.provider.map { provider in
                ProviderSignIn(provider: OpenIDProvider(provider, clock: .system), signIn: signIn)
            },
            audit: audit, directory: ingest.projects, rates: ingest.rates)
    }

    private func api(_ role: Serve.Role, _ keys: KeyDirectory, _ ingest: Ingest?) -> [any Service] {
        let connections = DescriptorLimit.connections(of: descriptors)
        if connections < DescriptorLimit.mostConnections {
            logger.warning(
                "Connection limit lowered by RLIMIT_NOFILE",
                metadata: ["connections": "\(connections)", "descriptors": "\(descriptors)"])
        }
        var apiSettings = APISettings(
            host: settings.server.host, port: settings.server.port, allowedHosts: settings.server.allowedHosts,
            maximumBodyBytes: settings.server.maximumBodyBytes,
            maximumBodyBytesInMemory: max(128 * 1024 * 1024, settings.server.maximumBodyBytes * 2),
            maximumAnswerBytesInMemory: settings.server.answerMemoryBytes, maximumExports: settings.server.exportConcurrency,
            maximumConnections: connections,
            serverVersion: BuildInfo.version, keepClientAddress: settings.keepClientAddress,
            trustedProxies: settings.server.trustedProxies, countryHeader: settings.server.countryHeader, countries: countries)
        apiSettings.publicURL = settings.server.publicURL
        apiSettings.certificate = certificate
        let dependencies = dependencies
        // An API that ingests events is useful without the store.
        let (services, engine) = apiServices(keys, ingest, apiSettings) { await dependencies.check(needsStore: role != .api) }
        let memory = MemoryLimits(apiSettings)
        var started: [any Service] = engine.map { [LiveMinuteKeeper(engine: $0, clock: .system)] } ?? []
        started += services.background
        if let (host, port) = settings.server.operations {
            var operations = apiSettings
            (operations.host, operations.port, operations.maximumConnections) = (host, port, 64)
            // Health and metrics only, for this machine or a network of operators: no keys and no events.
            operations.certificate = nil
            started.append(makeApplication(services: services, part: .operations, settings: operations, logger: logger))
        }
        // A processor serves only operations.
        if settings.server.operations == nil || engine != nil {
            let part: APIPart = settings.server.operations == nil ? .all : .events
            started.append(makeApplication(services: services, part: part, settings: apiSettings, memory: memory, logger: logger))
        }
        guard let port = settings.server.grpcPort,
            let desk = ServiceDesk(services: services, settings: apiSettings, memory: memory, logger: logger)
        else { return started }
        let grpc = GRPCServerService(
            desk: desk,
            settings: GRPCServerService.Settings(
                host: settings.server.host, port: port, maximumMessageBytes: min(settings.server.maximumBodyBytes, 4 * 1024 * 1024),
                certificate: certificate),
            logger: logger)
        return started + [grpc]
    }

    private struct StorePreparation: Service {
        var prepare: @Sendable () async throws -> Void

        func run() async throws {
            try await cancelWhenGracefulShutdown {
                try await prepare()
                try? await gracefulShutdown()
            }
        }
    }

    /// Waits for a store that is unavailable at the start: containers start in any order. A wrong configuration ends the start.
    private func prepareStore(_ role: Serve.Role, attempts: Int) async throws {
        var backoff = Backoff(first: .milliseconds(100), cap: .seconds(1))
        while true {
            do throws(StoreError) {
                try await backends.store.prepare()
                if role != .api { try await backends.claimQueue() }
                try await RetentionNotice.log(settings, backends.store, logger)
                if role != .processor { try await AccessNotice.log(settings.server, latch, logger) }
                return
            } catch {
                let passes = error.code == .unavailable || error.code == .timedOut
                guard passes, backoff.failures + 1 < attempts else { throw error }
                logger.warning("Waiting for the store", metadata: ["error": "\(error.message)"])
            }
            try await Task.sleep(for: backoff.next())
        }
    }
}
