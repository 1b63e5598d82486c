internal import AnalyticsCore
internal import NIOHTTP1

/// What HTTP/1.1 demands of requests (RFC 9112) and the decoder lets through. Proxies differ in how they read such requests: what one forwards as a
/// body could be a request to the next. Pure.
enum RequestRules {
    static func admit(_ head: HTTPRequestHead) -> Bool {
        let hosts = head.headers["Host"]
        // Section 3.2. HTTP/1.0 does not know the header.
        guard hosts.count == 1 || (hosts.isEmpty && isHTTP10(head)), hosts.allSatisfy(isHost) else { return false }
        // Sections 6.1 and 7: no coding is read but chunked, and that not of HTTP/1.0.
        let codings = head.headers["Transfer-Encoding"]
        return codings.isEmpty || (codings.count == 1 && codings[0].lowercasedASCII().equalsUTF8("chunked") && !isHTTP10(head))
    }

    static func isHTTP10(_ head: HTTPRequestHead) -> Bool { head.version == .http1_0 }

    /// RFC 3986, section 3.2.2, but for the comma, which joins two.
    private static func isHost(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-._~%!$&'()*+;=:[]".utf8.contains(byte)
        }
    }
}

/// Counts what comes beside a chunked body: sizes, extensions, trailers. Pure.
///
/// The decoder reads any number of bytes of these. The rule is that of Go's net/http: 16 bytes a chunk and twice the body are free, 16 KiB more
/// are borne with.
struct ChunkOverhead {
    static let limit = 16 * 1024

    private var isInBody = false
    private var excess = 0

    var isOverLimit: Bool { excess > Self.limit }

    mutating func began() {
        isInBody = true
        excess = 0
    }

    /// Bytes before they are decoded. Those that come in one read with the end of the headers are not counted.
    mutating func received(_ count: Int) {
        if isInBody { excess += count }
    }

    /// A part of the body, of one chunk.
    mutating func decoded(_ count: Int) {
        excess = max(0, excess - 3 * count - 16)
    }

    mutating func ended() {
        isInBody = false
        excess = 0
    }
}
