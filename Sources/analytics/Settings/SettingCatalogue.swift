internal import AnalyticsCore
internal import HTTPTypes
internal import Logging

/// All settings. Their meaning: .env.example.
enum SettingCatalogue {
    static let port = Setting.integer("PORT", default: 4_000, in: 0...65_535)
    /// Until the first key or account is made, everyone on this machine (HOST is loopback) can send, read and erase events, unless
    /// ADMIN_TOKEN is set.
    static let host = Setting.text("HOST", default: "127.0.0.1")
    static let allowedHosts = Setting<[String]>(
        "ALLOWED_HOSTS", [], documented: nil, allowed: "host names without ports, separated by commas"
    ) { text in
        let names = text.splitUTF8(",", omittingEmptySubsequences: false).map { $0.removingUTF8(" ") }
        return names.allSatisfy(isHostName) ? names : nil
    }
    static let adminToken = Setting.token("ADMIN_TOKEN", shortest: 32)
    static let allowAnonymous = Setting.flag("ALLOW_ANONYMOUS", default: false)
    /// For commands that call a running service.
    static let key = Setting<String?>(
        "ANALYTICS_KEY", nil, documented: nil, isSecret: true, allowed: "a whole key, as `analytics keys create` printed it"
    ) { APIKey($0) == nil ? String??.none : $0 }
    /// Paths of PEM files. With them HTTP and gRPC are served over TLS.
    static let tlsCertificate = Setting.optionalText("TLS_CERTIFICATE")
    static let tlsKey = Setting.optionalText("TLS_KEY")
    /// The address under which browsers call the service.
    static let publicURL = Setting.secureURL(
        "PUBLIC_URL", allowed: "an address of the form https://host or https://host:port, without a path; with http:// on loopback only"
    ) { $0.rest.isEmpty || $0.rest.equalsUTF8("/") }
    /// Sign-in with a provider of OpenID Connect.
    static let oidcIssuer = Setting.secureURL(
        "OIDC_ISSUER",
        allowed: "an https:// address of at most \(ProviderIdentity.longest) bytes without a query; with http:// on loopback only"
    ) { $0.text.utf8.count <= ProviderIdentity.longest && !$0.text.containsUTF8("?") }
    static let oidcClientID = Setting.optionalText("OIDC_CLIENT_ID")
    static let oidcClientSecret = Setting.optionalText("OIDC_CLIENT_SECRET", isSecret: true)
    static let grpcPort = Setting.optionalInteger("GRPC_PORT", in: 0...65_535)
    static let operationsHost = Setting.optionalText("OPERATIONS_HOST")
    static let operationsPort = Setting.optionalInteger("OPERATIONS_PORT", in: 0...65_535)
    static let environment = Setting.optionalText("APP_ENV", documented: "development")
    static let nodeEnvironment = Setting.optionalText("NODE_ENV")
    static let logLevel = Setting(
        "LOG_LEVEL", Logger.Level.info, documented: "info",
        allowed: Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
    ) { Logger.Level(rawValue: $0.lowercasedASCII()) }
    static let metrics = Setting.flag("ENABLE_METRICS", default: true)
    static let trustProxy = Setting.proxies("TRUST_PROXY")
    static let countryHeader = Setting<String?>("COUNTRY_HEADER", nil, documented: nil, allowed: "the name of an HTTP header") { text in
        HTTPField.Name(text) == nil ? String??.none : text
    }
    static let geoIPDatabase = Setting.optionalText("GEOIP_DATABASE")

    static let dataDirectory = Setting.text("DATA_DIR", default: "./data")
    static let mongoURI = Setting.address(
        "MONGODB_URI", schemes: ["mongodb", "mongodb+srv"], allowed: "an address that begins with mongodb:// or mongodb+srv://")
    static let rabbitURL = Setting.address(
        "RABBITMQ_URL", schemes: ["amqp", "amqps"],
        allowed: "an address of the form amqp://user:password@host:port/virtual-host, or amqps://…")
    static let redisHost = Setting.host(
        "REDIS_HOST",
        allowed: "a host name without redis:// or rediss://. Debian's hiredis has no TLS: name a TLS proxy beside the service, such as "
            + "stunnel, or use a network of Redis's own")
    static let redisPort = Setting.integer("REDIS_PORT", default: 6_379, in: 1...65_535)
    static let redisPassword = Setting.optionalText("REDIS_PASSWORD", isSecret: true)

    static let eventBytes = Setting.integer("MAX_EVENT_BYTES", default: 256 * 1024, in: 256...8 * 1024 * 1024)
    static let bodyBytes = Setting.integer("MAX_BODY_BYTES", default: 20 * 1024 * 1024, in: 1_024...256 * 1024 * 1024)
    static let batchEvents = Setting.integer("MAX_BATCH_EVENTS", default: 10_000, in: 1...100_000)
    static let futureSkew = Setting.integer("MAX_FUTURE_SKEW", default: 3_600, in: 0...31_536_000)
    static let retentionDays = Setting.optionalInteger("RETENTION_DAYS", documented: "0", in: 0...RetentionPlan.maximumDays)
    static let keepClientAddress = Setting.flag("KEEP_CLIENT_IP", default: false)

    static let queryTimeout = Setting.integer("QUERY_TIMEOUT", default: 30, in: 1...600)
    static let queryConcurrency = Setting.integer("QUERY_CONCURRENCY", default: 4, in: 1...64)
    static let exportConcurrency = Setting.integer("EXPORT_CONCURRENCY", default: 2, in: 1...64)
    static let answerMemory = Setting.integer(
        "ANSWER_MEMORY_BYTES", default: 64 * 1024 * 1024, in: 16 * 1024 * 1024...64 * 1024 * 1024 * 1024)

    static let flushEvents = Setting.integer("FLUSH_EVENTS", default: 2_000, in: 1...20_000)
    static let flushInterval = Setting.integer("FLUSH_INTERVAL_MS", default: 100, in: 1...60_000)
    static let prefetch = Setting.integer("PREFETCH", default: 500, in: 1...65_535)

    static let all: [any SettingDescription] = [
        port, host, allowedHosts, adminToken, allowAnonymous, key, tlsCertificate, tlsKey, publicURL, oidcIssuer, oidcClientID,
        oidcClientSecret, grpcPort, operationsHost, operationsPort,
        environment, nodeEnvironment, logLevel, metrics, trustProxy,
        countryHeader, geoIPDatabase, dataDirectory, mongoURI, rabbitURL, redisHost, redisPort, redisPassword, eventBytes, bodyBytes,
        batchEvents, futureSkew, retentionDays, keepClientAddress, queryTimeout, queryConcurrency,
        exportConcurrency, answerMemory, flushEvents, flushInterval, prefetch,
    ]

    private static func isHostName(_ name: String) -> Bool {
        (1...253).contains(name.utf8.count)
            && name.lowercasedASCII().utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || ".-_".utf8.contains($0)
            }
    }
}
