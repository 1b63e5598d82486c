internal import AnalyticsCore
internal import NIOHTTP1

/// Rules of HTTP/1.1 (RFC 9112) that the decoder does not check. Proxies differ in how they read such requests: what one forwards as a body
/// could be a request to the next (request smuggling). Pure.
enum RequestRules {
    static func admit(_ head: HTTPRequestHead) -> Bool {
        let hosts = head.headers["Host"]
        // Section 3.2. HTTP/1.0 has no `Host` header.
        guard hosts.count == 1 || (hosts.isEmpty && isHTTP10(head)), hosts.allSatisfy(isHost) else { return false }
        // Sections 6.1 and 7: only `chunked` is supported, and only in HTTP/1.1.
        let codings = head.headers["Transfer-Encoding"]
        return codings.isEmpty || (codings.count == 1 && codings[0].lowercasedASCII().equalsUTF8("chunked") && !isHTTP10(head))
    }

    static func isHTTP10(_ head: HTTPRequestHead) -> Bool { head.version == .http1_0 }

    /// RFC 3986, section 3.2.2, without the comma, which joins two hosts.
    private static func isHost(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-._~%!$&'()*+;=:[]".utf8.contains(byte)
        }
    }
}

/// Counts the bytes of a chunked body that are not content: sizes, extensions, trailers. Pure.
///
/// The decoder reads any number of them. The rule is that of Go's net/http: 16 bytes per chunk and twice the body are free, then 16 KiB
/// more.
struct ChunkOverhead {
    static let limit = 16 * 1024

    private var isInBody = false
    private var excess = 0

    var isOverLimit: Bool { excess > Self.limit }

    mutating func began() {
        isInBody = true
        excess = 0
    }

    /// Raw bytes. Those in the same read as the end of the headers are not counted.
    mutating func received(_ count: Int) {
        if isInBody { excess += count }
    }

    /// Content bytes of one chunk.
    mutating func decoded(_ count: Int) {
        excess = max(0, excess - 3 * count - 16)
    }

    mutating func ended() {
        isInBody = false
        excess = 0
    }
}
