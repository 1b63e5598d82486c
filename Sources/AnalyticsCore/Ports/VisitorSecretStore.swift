/// Stores the secrets of visitor ids, one per UTC day.
public protocol VisitorSecretStore: Sendable {
    /// The secret of a day. If there is none, `drawn` is stored; concurrent callers all get the same secret.
    func visitorSecret(of day: Int64, orElse drawn: [UInt8]) async throws(StoreError) -> [UInt8]

    /// Permanently deletes the secrets of earlier days.
    func deleteVisitorSecrets(before day: Int64) async throws(StoreError)
}
