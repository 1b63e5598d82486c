internal import AnalyticsCore
internal import AnalyticsEmbedded
internal import AnalyticsMongoDB
internal import AnalyticsRabbitMQ
internal import AnalyticsRedis
internal import Foundation
internal import Logging

/// The three ports with the adapters that the settings choose: a backend whose address is set is used, else its embedded twin.
struct Backends: Sendable {
    var store: any Store
    var broker: any Broker
    var cache: any CountCache
    /// Closes what is open, in an order that loses nothing: consumers before stores.
    var shutdown: @Sendable () async -> Void

    /// The line that the log begins with.
    var summary: String

    static func open(_ settings: Settings, logger: Logger) async throws -> Backends {
        let store = try openStore(settings, logger: logger)
        let broker = try openBroker(settings, logger: logger)
        let cache = openCache(settings, logger: logger)
        return Backends(
            store: TimedStore(store.value), broker: TimedBroker(broker.value), cache: cache.value,
            shutdown: {
                await broker.shutdown()
                await cache.shutdown()
                await store.shutdown()
            },
            summary: "broker \(broker.name), store \(store.name), cache \(cache.name)")
    }

    /// The store alone, for commands that need nothing else.
    static func openStoreOnly(_ settings: Settings, logger: Logger) throws -> (store: any Store, shutdown: @Sendable () async -> Void) {
        let store = try openStore(settings, logger: logger)
        return (store.value, store.shutdown)
    }

    // MARK: Each port

    private struct Opened<Value: Sendable>: Sendable {
        var value: Value
        var name: String
        var shutdown: @Sendable () async -> Void
    }

    private static func openStore(_ settings: Settings, logger: Logger) throws -> Opened<any Store> {
        if let uri = settings.backends.mongoURI {
            let store = try MongoStore(uri: uri, logger: logger)
            return Opened(value: store, name: "MongoDB") { await store.shutdown() }
        }
        let store = try SQLiteStore(path: try file("events.sqlite", settings), logger: logger)
        return Opened(value: store, name: "embedded (\(settings.backends.dataDirectory))") {}
    }

    private static func openBroker(_ settings: Settings, logger: Logger) throws -> Opened<any Broker> {
        if let url = settings.backends.rabbitURL {
            let broker = try RabbitMQBroker(url: url, logger: logger)
            return Opened(value: broker, name: "RabbitMQ") { await broker.shutdown() }
        }
        let queue = try SQLiteQueue(path: try file("queue.sqlite", settings), logger: logger)
        return Opened(value: queue, name: "embedded") { await queue.shutdown() }
    }

    private static func openCache(_ settings: Settings, logger: Logger) -> Opened<any CountCache> {
        if let redis = settings.backends.redis {
            let cache = RedisCache(host: redis.host, port: redis.port, password: redis.password, logger: logger)
            return Opened(value: cache, name: "Redis") { await cache.shutdown() }
        }
        return Opened(value: MemoryCache(), name: "embedded") {}
    }

    private static func file(_ name: String, _ settings: Settings) throws -> String {
        let directory = settings.backends.dataDirectory
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw SettingsError(
                "DATA_DIR", directory, allowed: "a folder that can be created and written to (\(error.localizedDescription))")
        }
        return directory + "/" + name
    }
}
