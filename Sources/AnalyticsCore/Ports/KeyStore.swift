/// Stores keys, and whether the service may be used without one.
///
/// Every operation can be repeated, and is harmless if it takes effect late.
public protocol KeyStore: Sendable {
    /// Durably closes anonymous access, then stores the key. A key with the same id is kept as it is.
    func createKey(_ key: StoredKey) async throws(StoreError)

    /// `nil` if no key has this id. Includes everything that was durable before the call.
    func key(_ id: String) async throws(StoreError) -> StoredKey?

    /// The keys of a project, or of all projects, in the order of `createdAt`, then of id.
    func keys(of project: ProjectID?) async throws(StoreError) -> [StoredKey]

    /// Sets `revokedAt`, unless it is set. Returns when it is durable.
    func revokeKey(_ id: String, at time: Timestamp) async throws(StoreError)

    /// Lowers `expiresAt` to `time`. A later time changes nothing. Returns when it is durable.
    func expireKey(_ id: String, at time: Timestamp) async throws(StoreError)

    /// Deletes keys that are revoked or expired. Unknown ids change nothing.
    func removeKeys(_ ids: [String]) async throws(StoreError)

    /// Raises `lastUsedAt` of the keys with these ids. Earlier times and unknown ids change nothing.
    func recordKeyUses(_ uses: [String: Timestamp]) async throws(StoreError)

    /// Closes anonymous access, as ``createKey(_:)`` does. Returns when it is durable. Nothing opens it again.
    func closeAnonymousAccess(at time: Timestamp) async throws(StoreError)

    /// Whether requests without a key are refused. True for ever once it was closed.
    func isAnonymousAccessClosed() async throws(StoreError) -> Bool
}
