package import AnalyticsCore
internal import Synchronization

/// A store in memory, which passes the store's contract suite. What a test does to it and sees of it is in `MemoryStore+Tests.swift`.
package final class MemoryStore: Store {
    /// The id of an event in its project.
    struct Key: Hashable, Sendable {
        var project: ProjectID
        var id: BytewiseString

        init(_ project: ProjectID, _ id: String) {
            self.project = project
            self.id = BytewiseString(id)
        }
    }

    struct PipelineCellName: Hashable, Sendable {
        var minute: BucketKey
        var writer: BytewiseString
    }

    struct RecordName: Hashable, Sendable {
        var kind: Record.Kind
        var id: BytewiseString

        init(_ kind: Record.Kind, _ id: String) {
            self.kind = kind
            self.id = BytewiseString(id)
        }
    }

    struct Hooks: Sendable {
        var beforeRead: (@Sendable (String) async throws(StoreError) -> Void)?
        var beforeInsert: (@Sendable () async -> Void)?
        var beforeHead: (@Sendable () async -> Void)?
        var beforePipeline: (@Sendable ([PipelineCell]) async -> Void)?
    }

    struct State: Sendable {
        var events: [Key: StoredEvent] = [:]
        var tiers: [RollupTier: [BucketKey: Rollup]] = [.minute: [:], .hour: [:], .day: [:]]
        var proofKey: [UInt8]?
        /// Of minutes.
        var histories: [BucketKey: BucketHistory] = [:]
        /// Of minutes; the version is that of the bucket.
        var stamps: [BucketKey: MinuteStamp] = [:]
        var reports: [DeliveryReport] = []
        var records: [ProjectID: ProjectRecord] = [:]
        /// By their ids.
        var keys: [BytewiseString: StoredKey] = [:]
        var isAnonymousAccessClosed = false
        /// Of the port `RecordStore`.
        var smallRecords: [RecordName: Record] = [:]
        /// Processes that began, for each delivery.
        var attempts: [BytewiseString: Set<BytewiseString>] = [:]
        var visitorSecrets: [Int64: [UInt8]] = [:]
        var segmentHeads: [BucketKey: StoredSegmentHead] = [:]
        var segmentBlobs: [SegmentBlob.Key: [UInt8]] = [:]
        var erasures: [Key: StoredErasure] = [:]
        var pipeline: [PipelineCellName: PipelineCell] = [:]
        var refused: Set<String> = []
        var poison: Set<String> = []
        var insertions: [Int] = []
        var countedRanges: [Range<Timestamp>] = []
        var queries = 0
        var scannedEvents = 0
        var listed: Selection?
    }

    package let faults: Faults
    let state = Mutex(State())
    let hooks = Mutex(Hooks())

    package init(faults: Faults = Faults()) {
        self.faults = faults
    }

    package func prepare() async throws(StoreError) {}

    package func checkHealth() async throws(StoreError) { try await read("checkHealth") { _ in } }

    /// Runs `body` alone.
    func write<R: Sendable>(
        _ step: Faults.Step, _ body: (inout State) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        try Self.checkCaller(step.rawValue)
        guard faults.pass(step, .before) else { throw Self.down(step) }
        let result = try state.withLock { (state) throws(StoreError) in try body(&state) }
        guard faults.pass(step, .after) else { throw Self.down(step) }
        return result
    }

    /// Runs `body` on a snapshot.
    func read<R>(_ name: String, _ body: (State) async throws(StoreError) -> R) async throws(StoreError) -> R {
        if let hook = hooks.withLock({ $0.beforeRead }) { try await hook(name) }
        try Self.checkCaller(name)
        guard faults.pass(.read, .before) else { throw Self.down(.read) }
        let snapshot = state.withLock { state in
            state.queries += 1
            return state
        }
        return try await body(snapshot)
    }

    /// Throws when the caller has gone or its deadline has passed.
    static func checkCaller(_ operation: String) throws(StoreError) {
        if Task.isCancelled { throw StoreError(.unavailable, operation: operation, "cancelled", cause: CancellationError()) }
        if Deadline.current?.hasPassed == true {
            throw StoreError(.unavailable, operation: operation, "not done by its deadline", cause: DeadlineError())
        }
    }

    private static func down(_ step: Faults.Step) -> StoreError { StoreError(.unavailable, operation: step.rawValue, "down") }
}
