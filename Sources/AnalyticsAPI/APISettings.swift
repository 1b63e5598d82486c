public import AnalyticsCore

/// Addresses and limits of the API.
public struct APISettings: Sendable {
    public var host: String
    /// 0 takes any free port.
    public var port: Int
    /// Host names, without ports, that proxies and other machines use for the service. Its own names and loopback are always allowed.
    public var allowedHosts: [String]
    /// Bytes per request body, counted after decompression.
    public var maximumBodyBytes: Int
    /// Bytes of all request bodies in memory, and of the responses to them. Requests beyond this get 503. Parsing a body takes about twice
    /// its size again.
    public var maximumBodyBytesInMemory: Int
    /// Bytes per client address (IPv6: per /64) out of ``maximumBodyBytesInMemory``; `nil`: half of it.
    public var maximumBodyBytesPerPeer: Int?
    /// Bytes that all responses with events or counts hold until they are written. Requests beyond this get 503.
    public var maximumAnswerBytesInMemory: Int
    /// Exports that run at the same time. Further ones get 503.
    public var maximumExports: Int
    /// Open connections. Near this limit, the connections that have been idle longest are closed. If none is idle, new ones wait in the
    /// kernel's queue.
    public var maximumConnections: Int
    /// Clients of live events at the same time. Further ones get 503. The default is 2,000, or half of `maximumConnections` if that is
    /// less.
    public var maximumLiveReaders: Int
    public var timeouts: ConnectionTimeouts.Limits
    /// Sent as the `Server` header.
    public var serverName: String
    /// Shown in the OpenAPI document.
    public var serverVersion: String
    /// Store the sender's whole IP address. If false, it is cut to its /24, or for IPv6 to its /48.
    public var keepClientAddress: Bool
    /// The proxies before the service, each of which appends an address to `X-Forwarded-For`. If 0, headers of proxies are ignored, because
    /// any client can set them.
    public var trustedProxies: Int
    /// The header in which a proxy sends the country of the client's address; `nil` if it sends none.
    public var countryHeader: String?
    /// Looks up the country of an address if no header has it.
    public var countries: (any CountryDatabase)?
    /// The address under which browsers call the service; `nil` if it is not known. If it is of https, all cookies need TLS.
    public var publicURL: SecureURL?
    /// For TLS; `nil`: plain HTTP.
    package var certificate: ServerCertificate?

    public init(
        host: String = "127.0.0.1", port: Int = 4000, allowedHosts: [String] = [], maximumBodyBytes: Int = 20 * 1024 * 1024,
        maximumBodyBytesInMemory: Int = 128 * 1024 * 1024, maximumBodyBytesPerPeer: Int? = nil,
        maximumAnswerBytesInMemory: Int = 64 * 1024 * 1024,
        maximumExports: Int = 2, maximumConnections: Int = 4096, maximumLiveReaders: Int? = nil,
        timeouts: ConnectionTimeouts.Limits = .init(),
        serverName: String = "analytics", serverVersion: String = "0.0.0", keepClientAddress: Bool = false, trustedProxies: Int = 0,
        countryHeader: String? = nil, countries: (any CountryDatabase)? = nil
    ) {
        self.host = host
        self.port = port
        self.allowedHosts = allowedHosts
        self.maximumBodyBytes = maximumBodyBytes
        self.maximumBodyBytesInMemory = maximumBodyBytesInMemory
        self.maximumBodyBytesPerPeer = maximumBodyBytesPerPeer
        self.maximumAnswerBytesInMemory = maximumAnswerBytesInMemory
        self.maximumExports = maximumExports
        self.maximumConnections = maximumConnections
        self.maximumLiveReaders = maximumLiveReaders ?? min(2_000, maximumConnections / 2)
        self.timeouts = timeouts
        self.serverName = serverName
        self.serverVersion = serverVersion
        self.keepClientAddress = keepClientAddress
        self.trustedProxies = trustedProxies
        self.countryHeader = countryHeader
        self.countries = countries
    }
}
