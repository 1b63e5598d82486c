internal import AnalyticsCore

/// The client that a memory limit applies to: an IPv4 address, or the first 64 bits of an IPv6 address, which belong to one client (RFC
/// 6177). All requests without a known address count as one peer.
struct Peer: Hashable, Sendable {
    private let isIPv6: Bool
    private let network: UInt64

    init(_ address: ClientAddress?) {
        let bytes = address?.networkBytes ?? []
        isIPv6 = bytes.count == 16
        network = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
