internal import AnalyticsCore
internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird

/// The key or the token that a request carries, wherever it stands. Pure.
enum Credential {
    /// The query parameter with a write key: `navigator.sendBeacon` sets no header.
    static let parameter = "key"

    /// `nil` if the request carries none. A header that occurs twice, and two different credentials, are errors: two readers could take
    /// different ones.
    ///
    /// - Parameter allowsQuery: Only for routes that send events. A URL stands in logs and histories, so other keys must not be in one.
    static func text(of request: Request, allowsQuery: Bool) throws(Problem) -> String? {
        do throws(Problem) {
            let headers = request.headers
            let places = [
                try authorization(headers), try headers.single(.xAPIKey), try allowsQuery ? queried(request) : nil,
            ]
            let sent = places.compactMap(\.self)
            guard let first = sent.first else { return nil }
            guard sent.allSatisfy({ $0.equalsUTF8(first) }) else {
                throw Problem(.invalidHeader, "The request carries two different keys. Send one, in one place.")
            }
            return first
        } catch {
            throw error.closingConnection()
        }
    }

    /// `Bearer KEY`, or the user name of `Basic` (RFC 7617).
    private static func authorization(_ headers: HTTPFields) throws(Problem) -> String? {
        guard let value = try headers.single(.authorization) else { return nil }
        let words = value.splitUTF8(" ")
        guard words.count == 2 else { throw .invalidKey }
        let scheme = words[0].lowercasedASCII()
        if scheme.equalsUTF8("bearer") { return String(words[1]) }
        guard scheme.equalsUTF8("basic"), let user = userName(words[1]) else { throw .invalidKey }
        return user
    }

    private static func userName(_ base64: Substring) -> String? {
        guard let bytes = Data(base64Encoded: Data(base64.utf8)), let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return text.cutUTF8(atFirst: ":").map { String($0.before) }
    }

    private static func queried(_ request: Request) throws(Problem) -> String? {
        guard let query = request.uri.query else { return nil }
        guard let text = try QueryParameters([query], allowed: nil).single(parameter) else { return nil }
        if let key = APIKey(text), key.scope != .write {
            throw Problem(
                .insufficientScope,
                "Only a key of scope 'write' may stand in a URL. This one may be in logs now: revoke it, and send keys as headers.")
        }
        return text
    }
}

extension HTTPField.Name {
    static let xAPIKey = HTTPField.Name("X-API-Key")!
}
