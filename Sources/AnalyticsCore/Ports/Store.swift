/// Stores events, rollups and related data. One protocol per use, so that a dependency shows what it needs.
///
/// Two adapters, one contract: MongoDB, and SQLite for the single-process service. Every operation can be repeated, and is harmless if it
/// takes effect late, after its caller's deadline.
public typealias Store = StoreLifecycle & EventStore & EventScanner & RollupStore & SegmentStore & ReportStore & ProjectStore & AttemptStore
    & VisitorSecretStore & ErasureStore & ProofStore & PipelineStore & KeyStore & RecordStore

/// What questions read.
public typealias QuestionStore = EventStore & EventScanner & RollupStore & SegmentStore & ProjectStore & ProofStore & PipelineStore

/// What a processor writes to.
public typealias ProcessorStore = EventStore & RollupStore & SegmentStore & ReportStore & ProjectStore & AttemptStore & ErasureStore
    & PipelineStore

/// Set-up and health of a store.
public protocol StoreLifecycle: Sendable {
    /// Creates what is missing (collections, tables, indexes). Can be repeated, and run by several processes at once.
    func prepare() async throws(StoreError)

    /// Throws if the store cannot be read or written now.
    func checkHealth() async throws(StoreError)
}
