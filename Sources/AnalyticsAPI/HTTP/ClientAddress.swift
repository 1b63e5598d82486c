internal import HTTPTypes
internal import NIOCore

/// Decides which address a request came from, and how much of it is kept.
struct ClientAddress {
    var keepsWhole: Bool
    var trustsProxy: Bool

    func address(peer: String?, headers: HTTPFields) -> String? {
        let client = trustsProxy ? forwarded(headers[values: .xForwardedFor]) ?? peer : peer
        return client.flatMap { keepsWhole ? Self.parse($0)?.ipAddress : Self.truncated($0) }
    }

    /// Every proxy appends the address that it was asked from, so the right end is what our own proxies wrote: the first from the right that
    /// is not a private network's is the client. Where all are private, the one that the nearest proxy saw.
    private func forwarded(_ values: [String]) -> String? {
        let hops = values.flatMap { $0.split(separator: ",") }.map { Self.withoutPort($0.filter { $0 != " " && $0 != "\t" }) }
        // The limit is on what is looked at: a header may hold thousands.
        let known = hops.suffix(32).filter { Self.parse($0) != nil }
        return known.last { !Self.isPrivate($0) } ?? known.last
    }

    private static func withoutPort(_ hop: String) -> String {
        if hop.hasPrefix("["), let end = hop.firstIndex(of: "]") { return String(hop[hop.index(after: hop.startIndex)..<end]) }
        if hop.contains("."), hop.filter({ $0 == ":" }).count == 1 { return String(hop.prefix { $0 != ":" }) }
        return hop
    }

    private static func parse(_ text: String) -> SocketAddress? {
        try? SocketAddress(ipAddress: text, port: 0)
    }

    /// RFC 1918, 3927, 4193, 4291, 6598 and loopback.
    private static func isPrivate(_ text: String) -> Bool {
        guard let bytes = bytes(text) else { return false }
        if bytes.count == 4 {
            return switch (bytes[0], bytes[1]) {
            case (10, _), (127, _), (192, 168), (169, 254): true
            case (172, 16...31), (100, 64...127): true
            default: false
            }
        }
        return bytes[0] & 0xFE == 0xFC || (bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80) || bytes.dropLast().allSatisfy { $0 == 0 }
    }

    /// IPv4 to its /24, IPv6 to its /48: no longer a person, still a region.
    private static func truncated(_ text: String) -> String? {
        guard var bytes = bytes(text) else { return nil }
        for index in (bytes.count == 4 ? 3 : 6)..<bytes.count { bytes[index] = 0 }
        return (try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: 0))?.ipAddress
    }

    /// Four bytes or sixteen; an IPv4 address written as IPv6 (RFC 4291, section 2.5.5.2) is its four.
    private static func bytes(_ text: String) -> [UInt8]? {
        // In the form of inet_ntop now, so what follows need not check.
        guard let text = parse(text)?.ipAddress else { return nil }
        guard text.contains(":") else { return text.split(separator: ".").compactMap { UInt8($0) } }
        let gap = text.firstRange(of: "::")
        let head = groups(text[..<(gap?.lowerBound ?? text.endIndex)])
        let tail = gap.map { groups(text[$0.upperBound...]) } ?? []
        let bytes = head + [UInt8](repeating: 0, count: max(0, 16 - head.count - tail.count)) + tail
        return bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) ? Array(bytes.suffix(4)) : bytes
    }

    private static func groups(_ text: Substring) -> [UInt8] {
        text.split(separator: ":").flatMap { group -> [UInt8] in
            if group.contains(".") { return group.split(separator: ".").compactMap { UInt8($0) } }
            let value = UInt16(group, radix: 16) ?? 0
            return [UInt8(value >> 8), UInt8(value & 0xFF)]
        }
    }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
}
