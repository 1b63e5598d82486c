internal import AnalyticsCore
internal import AnalyticsEmbedded
internal import AnalyticsMongoDB
internal import AnalyticsRabbitMQ
internal import AnalyticsRedis
internal import Logging
internal import ServiceLifecycle

/// The three ports with the adapters that the settings choose: a backend whose address is set is used, else its embedded twin.
///
/// As a service of the group they are its first: the group ends services in reverse, so everything that uses them has ended before.
struct Backends: ServiceLifecycle.Service {
    var store: any Store
    /// The same store for those who ask, over connections of their own: no question keeps events from being written, and one whose asker
    /// has gone is stopped. `nil` in a process that answers none.
    var questions: (any QuestionStore)?
    var broker: any Broker
    var cache: any CountCache
    /// Makes the events queue this store's, as far as other processes can consume from it. To be called before consuming, when the store
    /// is prepared.
    var claimQueue: @Sendable () async throws(StoreError) -> Void
    /// Closes what is open, in an order that loses nothing: consumers before stores.
    var shutdown: @Sendable () async -> Void

    /// The line that the log begins with.
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

    /// The store alone, for commands that need nothing else.
    static func openStoreOnly(_ settings: Settings, logger: Logger) throws -> (store: any Store, shutdown: @Sendable () async -> Void) {
        let store = try openStore(settings, ReadPoint(), logger: logger)
        return (store.value, store.shutdown)
    }

    /// The broker alone, for commands. An embedded queue that a service has open is refused.
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
