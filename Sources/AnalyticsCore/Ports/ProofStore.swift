/// Keeps the secret that proofs are sealed with. It is in no answer, no log and no listing.
public protocol ProofStore: Sendable {
    /// The key that was kept first, by whichever process; where there is none, `draft` is kept. Durable when this returns. A restored copy of
    /// the store has the same.
    func proofKey(orElse draft: [UInt8]) async throws(StoreError) -> [UInt8]
}
