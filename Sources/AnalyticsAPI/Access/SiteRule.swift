internal import AnalyticsCore
internal import Glibc
internal import HTTPTypes
internal import Hummingbird

/// Keeps pages of other sites out of a service that requires no key: any page in a browser can send requests to loopback or to the local
/// network. Pure.
///
/// `Host` is the name in the page's address. A foreign name that resolves to this service (DNS rebinding) is refused; an IP address is
/// allowed, because nobody can redirect it. `Origin` is the site of the page that sends the request (Fetch, 3.2): browsers send it with
/// cross-site requests and with requests that change something. Other clients can set both headers freely, and gain nothing by it.
struct SiteRule: Sendable {
    /// `ALLOWED_HOSTS`: host names that a proxy or another container uses, without ports. In lower case, as ``own``.
    let allowed: [String]
    /// The name of the machine, and the one that the service listens on.
    let own: [String]
    let transport: TransportRule

    init(allowed: [String], own: [String], transport: TransportRule) {
        self.allowed = allowed.map { $0.lowercasedASCII() }
        self.own = own.map { $0.lowercasedASCII() }
        self.transport = transport
    }

    func check(_ request: Request) throws(Problem) {
        try checkHost(of: request)
        try checkOrigin(of: request)
    }

    /// A request without `Host` is HTTP/1.0, which no browser sends.
    private func checkHost(of request: Request) throws(Problem) {
        guard let authority = request.head.authority, !isKnown(Self.host(of: authority)) else { return }
        throw Problem(
            .hostNotAllowed,
            "'\(authority.clipped)' is no name of this service. Ask it by its address, as localhost, or by a name in ALLOWED_HOSTS."
        ).closingConnection()
    }

    func checkOrigin(of request: Request) throws(Problem) {
        if let origin = foreignOrigin(of: request) { throw Self.foreign(origin) }
    }

    private static func foreign(_ origin: String) -> Problem {
        Problem(
            .originNotAllowed,
            "The request comes from a page of '\(origin.clipped)', which is another site. Its host may be named in ALLOWED_HOSTS."
        ).closingConnection()
    }

    /// For requests with a session: browsers send its cookie by themselves. What changes something comes from a page of the service, which
    /// only `Origin` proves; all browsers send it then.
    func checkSession(of request: Request) throws(Problem) {
        try checkOrigin(of: request)
        if let origin = request.headers[.origin] {
            // Its cookie comes over TLS, except on loopback, also through a proxy that this service does not know of.
            guard !origin.starts(withUTF8: "http://") || Self.isLoopback(Self.host(of: origin.trimmingUTF8(first: 7))) else {
                throw Self.foreign(origin)
            }
            return
        }
        guard request.isChange else { return }
        throw Problem(
            .originNotAllowed,
            "With a session, a request that changes something needs the header Origin with the address of this service. Programs use a key."
        ).closingConnection()
    }

    /// `Origin`, if it is not the host and port of the service itself, and no host in `ALLOWED_HOSTS`. If the request came over TLS, a page
    /// that did not is foreign, except on loopback: anybody between could have written it.
    func foreignOrigin(of request: Request) -> String? {
        guard let origin = request.headers[.origin] else { return nil }
        guard let scheme = ["http://", "https://"].first(where: { origin.starts(withUTF8: $0) }) else { return origin }
        let authority = origin.trimmingUTF8(first: scheme.utf8.count)
        let host = Self.host(of: authority)
        if scheme.equalsUTF8("http://"), transport.isSecure(request), !Self.isLoopback(host) { return origin }
        let isOwn = authority.equalsUTF8(request.head.authority ?? "") || allowed.contains { $0.equalsUTF8(host) }
        return isOwn ? nil : origin
    }

    private func isKnown(_ host: String) -> Bool {
        Self.isLocalhost(host) || ClientAddress(host) != nil || allowed.contains { $0.equalsUTF8(host) }
            || own.contains { $0.equalsUTF8(host) }
    }

    /// RFC 6761, section 6.3.
    static func isLocalhost(_ host: String) -> Bool { host.equalsUTF8("localhost") || host.ends(withUTF8: ".localhost") }

    static func isLoopback(_ host: String) -> Bool { isLocalhost(host) || ClientAddress(host)?.isLoopback == true }

    /// In lower case, without the port, the brackets of an IPv6 address and the trailing dot.
    static func host(of authority: String) -> String {
        let text = authority.lowercasedASCII()
        if text.starts(withUTF8: "["), let (address, rest) = text.cutUTF8(atFirst: "]"), rest.isEmpty || rest.starts(withUTF8: ":") {
            return address.trimmingUTF8(first: 1)
        }
        let name = text.cutUTF8(atLast: ":").map { String($0.before) } ?? text
        return name.ends(withUTF8: ".") ? name.trimmingUTF8(last: 1) : name
    }
}

extension Request {
    /// Whether it may change something (RFC 9110, section 9.2.1).
    var isChange: Bool { method != .get && method != .head }
}

extension SiteRule {
    init(_ settings: APISettings) {
        self.init(
            allowed: settings.allowedHosts, own: [settings.host] + [Self.machineName].compactMap(\.self),
            transport: TransportRule(settings))
    }

    /// gethostname(2).
    private static let machineName: String? = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, 255) == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()
}
