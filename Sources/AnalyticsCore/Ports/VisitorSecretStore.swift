/// Keeps the secrets of visitor ids, one for each UTC day.
public protocol VisitorSecretStore: Sendable {
    /// The secret of a day. Where it has none it becomes `drawn`: of those who ask at the same time one wins, and all get the same.
    func visitorSecret(of day: Int64, orElse drawn: [UInt8]) async throws(StoreError) -> [UInt8]

    /// Deletes the secrets of earlier days for good.
    func deleteVisitorSecrets(before day: Int64) async throws(StoreError)
}
