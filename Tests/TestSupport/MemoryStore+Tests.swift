package import AnalyticsCore
internal import Synchronization

extension MemoryStore {
    /// Events that the store never takes: each alone is refused as an outcome.
    package func refuse(_ ids: Set<String>) { state.withLock { $0.refused = ids } }
    /// Events with which it refuses the whole insert.
    package func poison(_ ids: Set<String>) { state.withLock { $0.poison = ids } }
    package func beforeInsert(_ body: (@Sendable () async -> Void)?) { hooks.withLock { $0.beforeInsert = body } }
    /// Runs before the head of a segment is written.
    package func beforeHead(_ body: (@Sendable () async -> Void)?) { hooks.withLock { $0.beforeHead = body } }
    /// Runs before counts of the pipeline are written.
    package func beforePipeline(_ body: (@Sendable ([PipelineCell]) async -> Void)?) { hooks.withLock { $0.beforePipeline = body } }
    /// Runs before every operation that reads, with its name.
    package func beforeRead(_ body: (@Sendable (String) async throws(StoreError) -> Void)?) { hooks.withLock { $0.beforeRead = body } }

    /// Newest first.
    package var events: [StoredEvent] { state.withLock { $0 }.events.values.sorted(by: Self.newestFirst) }
    /// Sizes of the inserts so far.
    package var insertions: [Int] { state.withLock { $0.insertions } }
    package var countedRanges: [Range<Timestamp>] { state.withLock { $0.countedRanges } }
    /// Operations that read so far.
    package var queries: Int { state.withLock { $0.queries } }
    /// Events that scans gave so far.
    package var scannedEvents: Int { state.withLock { $0.scannedEvents } }
    /// What the last listing asked for.
    package var listed: Selection? { state.withLock { $0.listed } }
    /// By their days.
    package var visitorSecrets: [Int64: [UInt8]] { state.withLock { $0.visitorSecrets } }
    package var records: [ProjectRecord] { state.withLock { Array($0.records.values) } }
    /// Of all deliveries.
    package var attempts: Int { state.withLock { $0.attempts.values.reduce(0) { $0 + $1.count } } }

    package func buckets(_ tier: RollupTier) -> [Rollup] { state.withLock { $0 }.tiers[tier]!.values.sorted { $0.key < $1.key } }

    /// Puts a bucket in place as it is.
    package func plant(_ tier: RollupTier, _ rollup: Rollup) { state.withLock { $0.tiers[tier]![rollup.key] = rollup } }
    package func remove(_ tier: RollupTier, _ key: BucketKey) { state.withLock { $0.tiers[tier]![key] = nil } }
    package func edit(_ tier: RollupTier, _ key: BucketKey, _ body: (inout Rollup) -> Void) {
        state.withLock { body(&$0.tiers[tier]![key]!) }
    }
    package func delete(id: String, project: ProjectID = Project.default) { state.withLock { $0.events[Key(project, id)] = nil } }

    package func plantAttempts(_ count: Int, on delivery: String) {
        state.withLock { $0.attempts[BytewiseString(delivery)] = Set((0..<count).map { BytewiseString("process \($0)") }) }
    }
}

extension MemoryStore {
    package var storedHeads: [StoredSegmentHead] { state.withLock { $0 }.segmentHeads.values.sorted { $0.day < $1.day } }
    package var blobKeys: [SegmentBlob.Key] { state.withLock { Array($0.segmentBlobs.keys) } }
    package func editBlob(_ key: SegmentBlob.Key, _ body: (inout [UInt8]) -> Void) { state.withLock { body(&$0.segmentBlobs[key]!) } }
    package func removeEvent(_ project: ProjectID, _ id: String) { state.withLock { $0.events[Key(project, id)] = nil } }
    package func removeBlob(_ key: SegmentBlob.Key) { state.withLock { $0.segmentBlobs[key] = nil } }
    package func editHeads(_ body: (inout [UInt8]) -> Void) {
        state.withLock { state in for key in state.segmentHeads.keys { body(&state.segmentHeads[key]!.bytes) } }
    }
}
