/// Stores the secret that seals proofs. It is in no answer, log or listing.
public protocol ProofStore: Sendable {
    /// The stored key, or `draft` after storing it if there is none: all processes get the first stored key. Durable on return. A restored
    /// copy of the store has the same key.
    func proofKey(orElse draft: [UInt8]) async throws(StoreError) -> [UInt8]
}
