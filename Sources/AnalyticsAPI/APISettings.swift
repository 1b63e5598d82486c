public import AnalyticsCore

/// How the API listens and where its limits are.
public struct APISettings: Sendable {
    public var host: String
    /// 0 takes any free port.
    public var port: Int
    /// Names under which proxies and other machines ask for the service, without ports. Its own and loopback's are known.
    public var allowedHosts: [String]
    /// Bytes of a request's body, counted after decompression.
    public var maximumBodyBytes: Int
    /// Bytes of all bodies in memory at a time, and of the answers to them; what does not fit is answered 503. What is made of a body takes
    /// about twice its size again.
    public var maximumBodyBytesInMemory: Int
    /// Of these, the bytes of the bodies of one client's address (IPv6: its /64); half of them where it is `nil`.
    public var maximumBodyBytesPerPeer: Int?
    /// Bytes that all listings, events and counts hold until they are written; what does not fit is answered 503.
    public var maximumAnswerBytesInMemory: Int
    /// Exports that run at a time; what comes beside them is answered 503.
    public var maximumExports: Int
    /// Connections open at a time. Before there are as many, those that have been idle for longest are closed; while none is idle, further ones wait
    /// in the kernel's queue.
    public var maximumConnections: Int
    /// Clients that listen to live events at a time; further ones are answered 503. 2,000, or half of the connections where these are fewer, if
    /// nothing is said.
    public var maximumLiveReaders: Int
    public var timeouts: ConnectionTimeouts.Limits
    /// Sent as `Server`, and the version that the OpenAPI document names.
    public var serverName: String
    public var serverVersion: String
    /// Events carry the sender's whole IP address; else it is cut to its /24 or, for IPv6, its /48.
    public var keepClientAddress: Bool
    /// The service stands behind a proxy that sets `X-Forwarded-For`. Else the header is a claim by anybody and is not read.
    public var trustProxy: Bool
    /// The header in which that proxy says the country of the client's address; `nil` where it does not.
    public var countryHeader: String?
    /// Knows the countries of addresses where no header says them.
    public var countries: (any CountryDatabase)?

    public init(
        host: String = "127.0.0.1", port: Int = 4000, allowedHosts: [String] = [], maximumBodyBytes: Int = 20 * 1024 * 1024,
        maximumBodyBytesInMemory: Int = 128 * 1024 * 1024, maximumBodyBytesPerPeer: Int? = nil,
        maximumAnswerBytesInMemory: Int = 64 * 1024 * 1024,
        maximumExports: Int = 2, maximumConnections: Int = 4096, maximumLiveReaders: Int? = nil,
        timeouts: ConnectionTimeouts.Limits = .init(),
        serverName: String = "analytics", serverVersion: String = "0.0.0", keepClientAddress: Bool = false, trustProxy: Bool = false,
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
        self.trustProxy = trustProxy
        self.countryHeader = countryHeader
        self.countries = countries
    }
}
