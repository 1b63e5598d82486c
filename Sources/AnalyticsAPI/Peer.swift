internal import AnalyticsCore

/// Whose share of the service's memory a request takes from: a client's address, of IPv6 the first 64 bits, which one client has for itself (RFC
/// 6177). Requests without a known address share one.
struct Peer: Hashable, Sendable {
    private let isIPv6: Bool
    private let network: UInt64

    init(_ address: ClientAddress?) {
        let bytes = address?.networkBytes ?? []
        isIPv6 = bytes.count == 16
        network = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
