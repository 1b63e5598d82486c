internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// How requests come to the service: with TLS, over proxies, or from this machine. Pure.
struct TransportRule: Sendable {
    /// The service has a certificate, or `PUBLIC_URL` is of https.
    private let hasTLS: Bool
    private let trustsProxy: Bool

    init(_ settings: APISettings) {
        hasTLS = settings.certificate != nil || settings.publicURL?.isPlain == false
        trustsProxy = settings.trustedProxies > 0
    }

    /// Whether the client has sent the request over TLS, to the service or to a trusted proxy.
    func isSecure(_ request: Request) -> Bool {
        if hasTLS { return true }
        return trustsProxy
            && request.headers[values: .xForwardedProto].flatMap { $0.splitUTF8(",") }
                .contains { $0.removingUTF8(" ", "\t").lowercasedASCII().equalsUTF8("https") }
    }

    /// Whether the request is of a client on this machine, without TLS. A proxy on this machine may call the service by an address of
    /// loopback, too.
    ///
    /// - Parameter peer: The IP address of the other end of the connection.
    func isLocal(_ request: Request, from peer: String?) -> Bool {
        guard !hasTLS, !trustsProxy, let peer, ClientAddress(peer)?.isLoopback == true,
            let authority = request.head.authority, SiteRule.isLoopback(SiteRule.host(of: authority))
        else { return false }
        return !request.headers.contains { $0.name == .forwarded || $0.name.canonicalName.starts(withUTF8: "x-forwarded-") }
    }
}

extension HTTPField.Name {
    /// RFC 7239.
    static let forwarded = HTTPField.Name("Forwarded")!
    static let xForwardedProto = HTTPField.Name("X-Forwarded-Proto")!
}
