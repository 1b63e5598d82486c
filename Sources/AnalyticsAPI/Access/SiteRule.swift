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

    init(allowed: [String], own: [String]) {
        self.allowed = allowed.map { $0.lowercasedASCII() }
        self.own = own.map { $0.lowercasedASCII() }
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
        guard let origin = foreignOrigin(of: request) else { return }
        throw Problem(
            .originNotAllowed,
            "The request comes from a page of '\(origin.clipped)', which is another site. Its host may be named in ALLOWED_HOSTS."
        ).closingConnection()
    }

    /// `Origin`, if it is not the host and port of the service itself, and no host in `ALLOWED_HOSTS`.
    func foreignOrigin(of request: Request) -> String? {
        guard let origin = request.headers[.origin] else { return nil }
        let authority = ["http://", "https://"].first { origin.starts(withUTF8: $0) }.map { origin.trimmingUTF8(first: $0.utf8.count) }
        if let authority {
            if authority.equalsUTF8(request.head.authority ?? "") { return nil }
            let host = Self.host(of: authority)
            if allowed.contains(where: { $0.equalsUTF8(host) }) { return nil }
        }
        return origin
    }

    private func isKnown(_ host: String) -> Bool {
        if host.equalsUTF8("localhost") || host.ends(withUTF8: ".localhost") { return true }  // RFC 6761, section 6.3
        return ClientAddress(host) != nil || allowed.contains { $0.equalsUTF8(host) } || own.contains { $0.equalsUTF8(host) }
    }

    /// In lower case, without the port, the brackets of an IPv6 address and the trailing dot.
    private static func host(of authority: String) -> String {
        let text = authority.lowercasedASCII()
        if text.starts(withUTF8: "["), let (address, rest) = text.cutUTF8(atFirst: "]"), rest.isEmpty || rest.starts(withUTF8: ":") {
            return address.trimmingUTF8(first: 1)
        }
        let name = text.cutUTF8(atLast: ":").map { String($0.before) } ?? text
        return name.ends(withUTF8: ".") ? name.trimmingUTF8(last: 1) : name
    }
}

extension SiteRule {
    init(_ settings: APISettings) {
        self.init(allowed: settings.allowedHosts, own: [settings.host] + [Self.machineName].compactMap(\.self))
    }

    /// gethostname(2).
    private static let machineName: String? = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, 255) == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()
}
