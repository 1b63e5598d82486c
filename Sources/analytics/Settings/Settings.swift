internal import AnalyticsCore
internal import Logging

/// Everything that can be set, in groups by what it is for. Names, meaning and defaults: .env.example.
struct Settings: Sendable {
    var server: ServerSettings
    var backends: BackendSettings
    var events: EventLimits
    /// `RETENTION_DAYS`, where it is set: what a project that has no retention in the store gets.
    var retentionDays: Int?
    var processor: Processor.Settings
    var queries: QueryGate.Limits
    var logging: LoggingSettings
    /// Whether IP addresses are kept whole.
    var keepClientAddress: Bool

    init(_ reader: SettingsReader) throws {
        server = try ServerSettings(reader)
        backends = try BackendSettings(reader)
        logging = try LoggingSettings(reader)
        keepClientAddress = try reader.flag("KEEP_CLIENT_IP", default: false)
        retentionDays = try reader.integer("RETENTION_DAYS", in: 0...RetentionPlan.maximumDays)
        events = EventLimits(
            maximumEventBytes: try reader.integer("MAX_EVENT_BYTES", default: 256 * 1024, in: 256...8 * 1024 * 1024),
            maximumBatchEvents: try reader.integer("MAX_BATCH_EVENTS", default: 10_000, in: 1...100_000),
            maximumFutureSkew: .seconds(try reader.integer("MAX_FUTURE_SKEW", default: 3_600, in: 0...31_536_000)))
        queries = QueryGate.Limits(
            concurrent: try reader.integer("QUERY_CONCURRENCY", default: 4, in: 1...64),
            timeout: .seconds(try reader.integer("QUERY_TIMEOUT", default: 30, in: 1...600)))
        processor = Processor.Settings(
            flushEvents: try reader.integer("FLUSH_EVENTS", default: 2_000, in: 1...20_000),
            flushInterval: .milliseconds(try reader.integer("FLUSH_INTERVAL_MS", default: 100, in: 1...60_000)),
            prefetch: try reader.integer("PREFETCH", default: 500, in: 1...65_535))
    }
}

struct ServerSettings: Sendable {
    var host: String
    var port: Int
    var maximumBodyBytes: Int
    var isMetricsEnabled: Bool
    var trustProxy: Bool

    init(_ reader: SettingsReader) throws {
        // While no key is configured whoever reaches the port can send and read: so nobody does from outside unless told to.
        host = reader.text("HOST") ?? "127.0.0.1"
        port = try reader.integer("PORT", default: 4_000, in: 0...65_535)
        maximumBodyBytes = try reader.integer("MAX_BODY_BYTES", default: 20 * 1024 * 1024, in: 1_024...256 * 1024 * 1024)
        isMetricsEnabled = try reader.flag("ENABLE_METRICS", default: true)
        trustProxy = try reader.flag("TRUST_PROXY", default: false)
    }
}

struct BackendSettings: Sendable {
    struct Redis: Sendable {
        var host: String
        var port: Int
        var password: String?
    }

    /// Where the embedded backends keep their files.
    var dataDirectory: String
    var mongoURI: String?
    var rabbitURL: String?
    var redis: Redis?

    init(_ reader: SettingsReader) throws {
        dataDirectory = reader.text("DATA_DIR") ?? "./data"
        mongoURI = reader.text("MONGODB_URI", isSecret: true)
        if let uri = mongoURI, !uri.starts(withUTF8: "mongodb://"), !uri.starts(withUTF8: "mongodb+srv://") {
            throw SettingsError(
                "MONGODB_URI", Self.withoutSecrets(uri), allowed: "an address that begins with mongodb:// or mongodb+srv://")
        }
        rabbitURL = reader.text("RABBITMQ_URL", isSecret: true)
        if let url = rabbitURL, !url.starts(withUTF8: "amqp://") {
            throw SettingsError(
                "RABBITMQ_URL", Self.withoutSecrets(url), allowed: "an address of the form amqp://user:password@host:port/virtual-host")
        }
        let redisPort = try reader.integer("REDIS_PORT", default: 6_379, in: 1...65_535)
        if let host = reader.text("REDIS_HOST") {
            redis = Redis(
                host: host, port: redisPort,
                password: reader.text("REDIS_PASSWORD", isSecret: true))
        }
    }

    /// What stands between the scheme and the `@` of an address is nobody's business in a log.
    private static func withoutSecrets(_ address: String) -> String {
        guard let at = address.utf8.lastIndex(of: UInt8(ascii: "@")) else { return address }
        let start = address.utf8.firstRange(of: "://".utf8)?.upperBound ?? address.startIndex
        return start < at ? address[..<start] + "…" + address[at...] : address
    }
}

struct LoggingSettings: Sendable {
    var level: Logger.Level
    /// What this deployment is called in the logs.
    var environment: String

    init(_ reader: SettingsReader) throws {
        environment = reader.text("APP_ENV") ?? reader.text("NODE_ENV") ?? "development"
        guard let text = reader.text("LOG_LEVEL") else {
            level = .info
            return
        }
        guard let level = Logger.Level(rawValue: text.lowercasedASCII()) else {
            throw SettingsError("LOG_LEVEL", text, allowed: Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))
        }
        self.level = level
    }
}
