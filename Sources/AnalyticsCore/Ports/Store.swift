/// Keeps events, their rollups, and what belongs to them: one protocol for each use, so that who takes one says what it does with a store.
///
/// Two adapters, one contract: MongoDB, and SQLite for the service in one process. Every operation can be repeated, and does no
/// harm when it takes effect late, after its caller has given up on it.
public typealias Store = StoreLifecycle & EventStore & EventScanner & RollupStore & SegmentStore & ReportStore & ProjectStore & AttemptStore
    & VisitorSecretStore & ErasureStore & ProofStore & PipelineStore

/// What questions are answered from.
public typealias QuestionStore = EventStore & EventScanner & RollupStore & SegmentStore & ProjectStore & ProofStore & PipelineStore

/// What a processor writes to.
public typealias ProcessorStore = EventStore & RollupStore & SegmentStore & ReportStore & ProjectStore & AttemptStore & ErasureStore
    & PipelineStore

/// What a store is before and beside its work.
public protocol StoreLifecycle: Sendable {
    /// Creates what is missing (collections, tables, indexes). Can be repeated, and run by several processes at once.
    func prepare() async throws(StoreError)

    /// Throws when the store cannot be read or written right now.
    func checkHealth() async throws(StoreError)
}
