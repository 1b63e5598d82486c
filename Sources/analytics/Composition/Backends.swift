internal import AnalyticsCore
internal import AnalyticsEmbedded
internal import AnalyticsMongoDB
internal import AnalyticsRabbitMQ
internal import AnalyticsRedis
internal import Logging
internal import ServiceLifecycle

/// The three ports with the adapters that the settings choose: the backend if its address is set, otherwise its embedded twin.
///
/// They are the first service of the group. The group ends services in reverse order, so every user of them has ended before.
struct Backends: ServiceLifecycle.Service {
    var store: any Store
    /// The same store for questions, over its own connections: no question blocks the writing of events, and a question stops when its
    /// caller is gone. `nil` in a process without questions.
    var questions: (any QuestionStore)?
    var broker: any Broker
    var cache: any CountCache
    /// The cache if processes share it; `nil`: rates are this process's own.
    var rates: (any RateStore)? { cache as? any RateStore }
    /// Binds the events queue to this store, if other processes can consume from it. Call it after the store is prepared and before
    /// consuming.
    var claimQueue: @Sendable () async throws(StoreError) -> Void
    /// Closes all adapters in an order that loses nothing: consumers before stores.
    var shutdown: @Sendable () async -> Void

    /// Shown in the first line of the log.
    var summary: String

    func run() async throws {
        try? await gracefulShutdown()
        await shutdown()
    }

    static func open(_ settings: Settings, _ role: Serve.Role, logger: Logger) async throws -> Backends {
        let isEmbedded = settings.backends.mongoURI == nil || settings.backends.rabbitURL == nil
        let lock = isEmbedded ? try DataDirectoryLock(dataDirectory(settings)) : nil
        let readPoint = ReadPoint()
        let store = try openStore(settings, readPoint, logger: logger)
        let questions = role == .processor ? nil : try openStore(settings, readPoint, forQuestions: true, logger: logger)
        let broker = try openBroker(settings, logger: logger)
        let cache = openCache(settings, logger: logger)
        return Backends(
            store: store.value, questions: questions?.value, broker: broker.value,
            cache: cache.value,
            claimQueue: { () async throws(StoreError) in
                guard let rabbit = broker.value as? RabbitMQBroker else { return }
                rabbit.claim(for: try await store.owner())
            },
            shutdown: {
                await broker.shutdown()
                await cache.shutdown()
                await questions?.shutdown()
                await store.shutdown()
                withExtendedLifetime(lock) {}
            },
            summary: "broker \(broker.name), store \(store.name), cache \(cache.name)")
    }

    /// Only the store, for commands.
    static func openStoreOnly(_ settings: Settings, logger: Logger) throws -> (store: any Store, shutdown: @Sendable () async -> Void) {
        let store = try openStore(settings, ReadPoint(), logger: logger)
        return (store.value, store.shutdown)
    }

    /// Only the broker, for commands. Throws for an embedded queue that a service has open.
    static func openBrokerOnly(_ settings: Settings, logger: Logger) throws -> (broker: any Broker, shutdown: @Sendable () async -> Void) {
        let broker = try openBroker(settings, logger: logger)
        return (broker.value, broker.shutdown)
    }

    // MARK: Each port

    private struct Opened<Value: Sendable>: Sendable {
        var value: Value
        var name: String
        var shutdown: @Sendable () async -> Void
    }

    private struct OpenedStore: Sendable {
        var value: any Store
        var name: String
        var owner: @Sendable () async throws(StoreError) -> QueueOwner
        var shutdown: @Sendable () async -> Void
    }

    private static func openStore(
        _ settings: Settings, _ readPoint: ReadPoint, forQuestions: Bool = false, logger: Logger
    ) throws -> OpenedStore {
        if let uri = settings.backends.mongoURI {
            let store =
                forQuestions
                ? try MongoStore(
                    uri: uri, poolSize: settings.queries.concurrent + 1, questionTimeout: settings.queries.timeout,
                    readPoint: readPoint, logger: logger)
                : try MongoStore(uri: uri, readPoint: readPoint, logger: logger)
            return OpenedStore(
                value: store, name: "MongoDB",
                owner: { () async throws(StoreError) in QueueOwner(store: try await store.identity(), isShared: true) },
                shutdown: { await store.shutdown() })
        }
        let store = try SQLiteStore(path: dataDirectory(settings) + "/events.sqlite", logger: logger)
        return OpenedStore(
            value: store, name: "embedded (\(settings.backends.dataDirectory))",
            owner: { () async throws(StoreError) in QueueOwner(store: try await store.identity(), isShared: false) },
            shutdown: {})
    }

    private static func openBroker(_ settings: Settings, logger: Logger) throws -> Opened<any Broker> {
        if let url = settings.backends.rabbitURL {
            let broker = try RabbitMQBroker(url: url, logger: logger)
            return Opened(value: broker, name: "RabbitMQ") { await broker.shutdown() }
        }
        let queue = try SQLiteQueue(path: dataDirectory(settings) + "/queue.sqlite", logger: logger)
        return Opened(value: queue, name: "embedded") { await queue.shutdown() }
    }

    private static func openCache(_ settings: Settings, logger: Logger) -> Opened<any CountCache> {
        if let redis = settings.backends.redis {
            let cache = RedisCache(host: redis.host, port: redis.port, password: redis.password, logger: logger)
            return Opened(value: cache, name: "Redis") { await cache.shutdown() }
        }
        return Opened(value: MemoryCache(), name: "embedded") {}
    }

    private static func dataDirectory(_ settings: Settings) throws -> String {
        let directory = settings.backends.dataDirectory
        try DataDirectory.prepare(directory)
        return directory
    }
}
