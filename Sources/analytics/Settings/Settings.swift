internal import AnalyticsCore
internal import Logging

/// The values of all settings, grouped by purpose. Names, meaning and defaults: .env.example.
struct Settings: Sendable {
    var server: ServerSettings
    var backends: BackendSettings
    var events: EventLimits
    /// `RETENTION_DAYS`, if set: for projects without a retention in the store.
    var retentionDays: Int?
    var processor: Processor.Settings
    var queries: QueryGate.Limits
    var logging: LoggingSettings
    /// Whether whole IP addresses are stored.
    var keepClientAddress: Bool

    init(_ reader: SettingsReader) throws {
        server = try ServerSettings(reader)
        backends = try BackendSettings(reader)
        logging = try LoggingSettings(reader)
        keepClientAddress = try reader.value(SettingCatalogue.keepClientAddress)
        retentionDays = try reader.value(SettingCatalogue.retentionDays)
        events = EventLimits(
            maximumEventBytes: try reader.value(SettingCatalogue.eventBytes),
            maximumBatchEvents: try reader.value(SettingCatalogue.batchEvents),
            maximumFutureSkew: .seconds(try reader.value(SettingCatalogue.futureSkew)))
        queries = QueryGate.Limits(
            concurrent: try reader.value(SettingCatalogue.queryConcurrency),
            timeout: .seconds(try reader.value(SettingCatalogue.queryTimeout)))
        processor = Processor.Settings(
            flushEvents: try reader.value(SettingCatalogue.flushEvents),
            flushInterval: .milliseconds(try reader.value(SettingCatalogue.flushInterval)),
            prefetch: try reader.value(SettingCatalogue.prefetch))
    }
}

struct ServerSettings: Sendable {
    var host: String
    var port: Int
    var allowedHosts: [String]
    /// Manages all projects and keys; `nil` if only commands do.
    var adminToken: String?
    /// Whether requests without a key are served, until the first key is made: with `ALLOW_ANONYMOUS`, or on loopback
    /// without ``adminToken``.
    var allowsAnonymous: Bool
    /// The port of gRPC; `nil` if it is not served.
    var grpcPort: Int?
    /// The listener of health and metrics, if they have their own.
    var operations: (host: String, port: Int)?
    var maximumBodyBytes: Int
    var isMetricsEnabled: Bool
    var trustProxy: Bool
    var countryHeader: String?
    var geoIPDatabase: String?
    var answerMemoryBytes: Int
    var exportConcurrency: Int

    init(_ reader: SettingsReader) throws {
        host = try reader.value(SettingCatalogue.host)
        port = try reader.value(SettingCatalogue.port)
        allowedHosts = try reader.value(SettingCatalogue.allowedHosts)
        adminToken = try reader.value(SettingCatalogue.adminToken)
        let isOpen = Self.isLoopback(host) && adminToken == nil
        allowsAnonymous = try reader.value(SettingCatalogue.allowAnonymous) || isOpen
        grpcPort = try reader.value(SettingCatalogue.grpcPort)
        let operationsHost = try reader.value(SettingCatalogue.operationsHost)
        operations = try reader.value(SettingCatalogue.operationsPort).map { [host] in (operationsHost ?? host, $0) }
        guard operationsHost == nil || operations != nil else {
            throw SettingsError("OPERATIONS_HOST needs OPERATIONS_PORT: without it health and metrics are served with the rest")
        }
        maximumBodyBytes = try reader.value(SettingCatalogue.bodyBytes)
        isMetricsEnabled = try reader.value(SettingCatalogue.metrics)
        trustProxy = try reader.value(SettingCatalogue.trustProxy)
        countryHeader = try reader.value(SettingCatalogue.countryHeader)
        geoIPDatabase = try reader.value(SettingCatalogue.geoIPDatabase)
        guard countryHeader == nil || trustProxy else {
            throw SettingsError("COUNTRY_HEADER needs TRUST_PROXY=true: without a proxy that sets it, any client could name any country")
        }
        answerMemoryBytes = try reader.value(SettingCatalogue.answerMemory)
        exportConcurrency = try reader.value(SettingCatalogue.exportConcurrency)
    }

    /// Whether only this machine reaches the address (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3).
    static func isLoopback(_ host: String) -> Bool {
        guard let bytes = ClientAddress(host)?.networkBytes else { return host.lowercasedASCII().equalsUTF8("localhost") }
        return bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }
}

struct BackendSettings: Sendable {
    struct Redis: Sendable {
        var host: String
        var port: Int
        var password: String?
    }

    /// The folder of the embedded backends' files.
    var dataDirectory: String
    var mongoURI: String?
    var rabbitURL: String?
    var redis: Redis?

    init(_ reader: SettingsReader) throws {
        dataDirectory = try reader.value(SettingCatalogue.dataDirectory)
        mongoURI = try reader.value(SettingCatalogue.mongoURI)
        rabbitURL = try reader.value(SettingCatalogue.rabbitURL)
        let redisPort = try reader.value(SettingCatalogue.redisPort)
        if let host = try reader.value(SettingCatalogue.redisHost) {
            redis = Redis(host: host, port: redisPort, password: try reader.value(SettingCatalogue.redisPassword))
        }
    }
}

struct LoggingSettings: Sendable {
    var level: Logger.Level
    /// The name of this deployment in the logs.
    var environment: String

    init(_ reader: SettingsReader) throws {
        environment =
            try reader.value(SettingCatalogue.environment) ?? reader.value(SettingCatalogue.nodeEnvironment) ?? "development"
        level = try reader.value(SettingCatalogue.logLevel)
    }
}
