internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// A cookie of this service (draft-ietf-httpbis-rfc6265bis). Pure.
///
/// Browsers take one whose name begins with `__Host-` over TLS only, from its own host and for it alone. So neither another host of the
/// domain nor an answer without TLS can set it. For clients on this machine, where there is no TLS, it has no prefix and no `Secure`
/// (``TransportRule/isLocal(_:from:)``). Only the name that fits the request is read.
struct HostCookie: Sendable {
    /// Without the prefix.
    private let name: String
    /// For an error.
    private let purpose: String
    /// Seconds.
    private let maximumAge: Int
    private let transport: TransportRule

    private init(_ name: String, _ purpose: String, maximumAge: Int, _ settings: APISettings) {
        self.name = name
        self.purpose = purpose
        self.maximumAge = maximumAge
        transport = TransportRule(settings)
    }

    /// The token of a session, for the longest time that a session lasts.
    static func session(_ settings: APISettings) -> HostCookie {
        HostCookie("analytics_session", "session", maximumAge: 30 * 86_400, settings)
    }

    /// The ``ProviderAttempt`` of a person who is at the provider.
    static func attempt(_ settings: APISettings) -> HostCookie {
        HostCookie("analytics_oidc", "sign-in", maximumAge: ProviderAttempt.lifetime, settings)
    }

    /// The value; `nil` if the request has none. Throws if the cookie occurs twice: two readers could take different ones.
    ///
    /// - Parameter peer: The IP address of the other end of the connection, here and below.
    func value(of request: Request, from peer: String?) throws(Problem) -> String? {
        let name = fullName(isLocal: transport.isLocal(request, from: peer))
        var found: String?
        for pair in request.headers[values: .cookie].flatMap({ $0.splitUTF8(";") }) {
            let pair = String(decoding: pair.utf8.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }, as: UTF8.self)
            guard let (before, value) = pair.cutUTF8(atFirst: "="), before.equalsUTF8(name) else { continue }
            guard found == nil else {
                throw Problem(.invalidHeader, "The request carries the cookie of a \(purpose) twice.").closingConnection()
            }
            found = String(value)
        }
        return found
    }

    /// `Set-Cookie` for the answer to a request.
    func field(_ value: String, to request: Request, from peer: String?) -> String { field(value, maximumAge, request, peer) }

    /// `Set-Cookie` that removes it.
    func removal(to request: Request, from peer: String?) -> String { field("", 0, request, peer) }

    /// `Lax`: a link to a page of the service opens with its session, and the provider's way back with its attempt.
    private func field(_ value: String, _ maximumAge: Int, _ request: Request, _ peer: String?) -> String {
        let isLocal = transport.isLocal(request, from: peer)
        return "\(fullName(isLocal: isLocal))=\(value); Path=/; HttpOnly; SameSite=Lax\(isLocal ? "" : "; Secure"); Max-Age=\(maximumAge)"
    }

    private func fullName(isLocal: Bool) -> String { isLocal ? name : "__Host-" + name }
}
