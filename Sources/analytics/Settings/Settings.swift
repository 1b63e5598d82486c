internal import AnalyticsCore
internal import AnalyticsOIDC
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
    /// Manages all projects, keys and accounts; `nil` if only commands and administrators of the instance do.
    var adminToken: String?
    /// Whether requests without a key are served, until the first key or account is made: with `ALLOW_ANONYMOUS`, or on loopback without
    /// ``adminToken``.
    var allowsAnonymous: Bool
    /// Paths of PEM files; `nil`: no TLS.
    var tls: (certificate: String, key: String)?
    /// The address under which browsers call the service; `nil` if it is not known.
    var publicURL: SecureURL?
    /// The provider that signs people in; `nil` if there is none.
    var provider: OpenIDSettings?
    /// The port of gRPC; `nil` if it is not served.
    var grpcPort: Int?
    /// The listener of health and metrics, if they have their own.
    var operations: (host: String, port: Int)?
    var maximumBodyBytes: Int
    var isMetricsEnabled: Bool
    /// 0: none.
    var trustedProxies: Int
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
        tls = try Self.tls(reader)
        publicURL = try reader.value(SettingCatalogue.publicURL)
        provider = try Self.provider(reader, publicURL)
        grpcPort = try reader.value(SettingCatalogue.grpcPort)
        let operationsHost = try reader.value(SettingCatalogue.operationsHost)
        operations = try reader.value(SettingCatalogue.operationsPort).map { [host] in (operationsHost ?? host, $0) }
        guard operationsHost == nil || operations != nil else {
            throw SettingsError("OPERATIONS_HOST needs OPERATIONS_PORT: without it health and metrics are served with the rest")
        }
        maximumBodyBytes = try reader.value(SettingCatalogue.bodyBytes)
        isMetricsEnabled = try reader.value(SettingCatalogue.metrics)
        trustedProxies = try reader.value(SettingCatalogue.trustProxy)
        countryHeader = try reader.value(SettingCatalogue.countryHeader)
        geoIPDatabase = try reader.value(SettingCatalogue.geoIPDatabase)
        guard countryHeader == nil || trustedProxies > 0 else {
            throw SettingsError("COUNTRY_HEADER needs TRUST_PROXY=true: without a proxy that sets it, any client could name any country")
        }
        answerMemoryBytes = try reader.value(SettingCatalogue.answerMemory)
        exportConcurrency = try reader.value(SettingCatalogue.exportConcurrency)
    }

    private static func tls(_ reader: SettingsReader) throws -> (certificate: String, key: String)? {
        switch (try reader.value(SettingCatalogue.tlsCertificate), try reader.value(SettingCatalogue.tlsKey)) {
        case (nil, nil): return nil
        case (let certificate?, let key?): return (certificate, key)
        case (_, nil): throw SettingsError("TLS_CERTIFICATE needs TLS_KEY, the path of the file with its key")
        case (nil, _): throw SettingsError("TLS_KEY needs TLS_CERTIFICATE, the path of the file with the certificate of this key")
        }
    }

    private static func provider(_ reader: SettingsReader, _ publicURL: SecureURL?) throws -> OpenIDSettings? {
        let values = (
            try reader.value(SettingCatalogue.oidcIssuer), try reader.value(SettingCatalogue.oidcClientID),
            try reader.value(SettingCatalogue.oidcClientSecret)
        )
        guard case (let issuer?, let clientID?, let secret?) = values else {
            guard values.0 == nil, values.1 == nil, values.2 == nil else {
                throw SettingsError("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET belong together: set all of them or none")
            }
            return nil
        }
        guard let publicURL else {
            throw SettingsError("OIDC_ISSUER needs PUBLIC_URL, the address under which browsers call this service")
        }
        return OpenIDSettings(issuer: issuer, clientID: clientID, clientSecret: secret, publicURL: publicURL)
    }

    /// The HTTP API, as commands on this machine reach it.
    var localAddress: String { "\(tls == nil ? "http" : "https")://127.0.0.1:\(port)" }

    /// Whether only this machine reaches the address (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3).
    static func isLoopback(_ host: String) -> Bool {
        ClientAddress(host)?.isLoopback ?? host.lowercasedASCII().equalsUTF8("localhost")
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
