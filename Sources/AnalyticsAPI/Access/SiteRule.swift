internal import AnalyticsCore
internal import Glibc
internal import HTTPTypes
internal import Hummingbird

/// Keeps pages of other sites out of a service that asks for no key: a browser reaches it, on loopback or in its network, for any page that it
/// shows. Pure.
///
/// `Host` is the name in the page's address. A name of somebody else's that has come to point here (DNS rebinding) is refused; an address is not,
/// since nobody can point it elsewhere. `Origin` is the site of the page that asks (Fetch, 3.2), where a browser asks for another site's page, or
/// changes something. Whoever is no browser says in both what it likes, and gains nothing.
struct SiteRule: Sendable {
    /// `ALLOWED_HOSTS`: names under which a proxy or another container asks, without ports. In lower case, as ``own``.
    let allowed: [String]
    /// Names of the machine, and the one that the service listens on.
    let own: [String]

    init(allowed: [String], own: [String]) {
        self.allowed = allowed.map { $0.lowercasedASCII() }
        self.own = own.map { $0.lowercasedASCII() }
    }

    func check(_ request: Request) throws(Problem) {
        try checkHost(of: request)
        try checkOrigin(of: request)
    }

    /// A request without `Host` is of HTTP/1.0, and of no browser.
    private func checkHost(of request: Request) throws(Problem) {
        guard let authority = request.head.authority, !isKnown(Self.host(of: authority)) else { return }
        throw Problem(
            .hostNotAllowed,
            "'\(authority.clipped)' is no name of this service. Ask it by its address, as localhost, or by a name in ALLOWED_HOSTS."
        ).closingConnection()
    }

    /// Same host and port as the service, or the host of a proxy in front of it.
    func checkOrigin(of request: Request) throws(Problem) {
        guard let origin = request.headers[.origin] else { return }
        let authority = ["http://", "https://"].first { origin.starts(withUTF8: $0) }.map { origin.trimmingUTF8(first: $0.utf8.count) }
        if let authority {
            if authority.equalsUTF8(request.head.authority ?? "") { return }
            let host = Self.host(of: authority)
            if allowed.contains(where: { $0.equalsUTF8(host) }) { return }
        }
        throw Problem(
            .originNotAllowed,
            "The request comes from a page of '\(origin.clipped)', which is another site. Its host may be named in ALLOWED_HOSTS."
        ).closingConnection()
    }

    private func isKnown(_ host: String) -> Bool {
        if host.equalsUTF8("localhost") || host.ends(withUTF8: ".localhost") { return true }  // RFC 6761, section 6.3
        return ClientAddress(host) != nil || allowed.contains { $0.equalsUTF8(host) } || own.contains { $0.equalsUTF8(host) }
    }

    /// In lower case, without the port, the brackets of an IPv6 address and the root's dot.
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
