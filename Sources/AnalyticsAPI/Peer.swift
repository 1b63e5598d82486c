internal import AnalyticsCore

/// The client that a memory limit applies to: an IPv4 address, or the first 64 bits of an IPv6 address, which belong to one client (RFC
/// 6177). All requests without a known address count as one peer. With a key or a session, those of each project are a client of their own:
/// behind a proxy, all projects may have one address.
struct Peer: Hashable, Sendable {
    private let isIPv6: Bool
    private let network: UInt64
    private let project: ProjectID?

    /// - Parameter principal: `nil` for requests that need none.
    init(_ address: ClientAddress?, in principal: Principal? = nil) {
        let bytes = address?.networkBytes ?? []
        isIPv6 = bytes.count == 16
        network = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        project = principal?.caller == nil ? nil : principal?.project
    }
}

extension Principal {
    /// The id of the key or the account; `nil` while anyone may do everything.
    var caller: String? { key ?? account }
}
