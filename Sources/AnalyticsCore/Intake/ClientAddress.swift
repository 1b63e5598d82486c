#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// An IP address. Truncated, it identifies a network and no longer a person.
public struct ClientAddress: Sendable, Equatable {
    private var bytes: [UInt8]

    /// Reads an IPv4 or IPv6 address (`inet_pton`). An IPv4-mapped IPv6 address is read as IPv4.
    public init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            bytes = withUnsafeBytes(of: &v4) { Array($0) }
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            bytes = withUnsafeBytes(of: &v6) { Array($0) }
            if bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] { bytes.removeFirst(12) }
        } else {
            return nil
        }
    }

    /// Four or sixteen bytes in network byte order.
    public var networkBytes: [UInt8] { bytes }

    public var text: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &buffer, socklen_t(buffer.count))
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// 127.0.0.0/8 (RFC 1122, section 3.2.1.3) and ::1 (RFC 4291, section 2.5.3).
    public var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

    /// The first 24 bits of an IPv4 address or the first 48 of an IPv6 address; the rest is zero.
    public var truncated: String {
        var copy = self
        let kept = bytes.count == 4 ? 3 : 6
        for index in kept..<bytes.count { copy.bytes[index] = 0 }
        return copy.text
    }
}
