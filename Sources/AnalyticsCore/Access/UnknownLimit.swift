/// Limits look-ups of keys or tokens that a process does not know: never more than 100 in any second, and of one peer 10 per second after a
/// burst of 20. Pure: the times passed in are of an ``ElapsedClock``.
struct UnknownLimit: Sendable {
    static let maximumPeers = 10_000

    private var all = TokenBucket(rate: 80, burst: 20)
    private var peers = BoundedMap<[UInt8], TokenBucket>(limit: Self.maximumPeers)

    /// The time that the peer has to wait before the next look-up; `nil` if it may look up now, which counts.
    mutating func take(_ peer: String, at now: Duration) -> Duration? {
        let network = ClientAddress.network(of: peer)
        var bucket = peers.use(network) ?? TokenBucket(rate: 10, burst: 20)
        let wait = max(bucket.wait(for: 1, at: now), all.wait(for: 1, at: now))
        guard wait == .zero else { return wait }
        _ = bucket.take(1, at: now)
        _ = all.take(1, at: now)
        peers.set(bucket, for: network)
        return nil
    }

    /// What the peer has looked up exists: it does not count.
    mutating func giveBack(_ peer: String) {
        peers.update(ClientAddress.network(of: peer)) { $0.giveBack(1) }
        all.giveBack(1)
    }
}

extension ClientAddress {
    /// What stands for one client: an IPv4 address, or the first 64 bits of an IPv6 address (RFC 6177).
    static func network(of peer: String) -> [UInt8] {
        ClientAddress(peer).map { Array($0.networkBytes.prefix(8)) } ?? Array(peer.utf8.prefix(64))
    }
}
