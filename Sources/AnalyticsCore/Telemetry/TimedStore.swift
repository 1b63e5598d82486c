/// Any store, with every operation timed.
public struct TimedStore: EventStore, RollupStore, ProjectStore, AttemptStore {
    private let store: any Store
    private let timers = OperationTimers(
        port: "store",
        operations: [
            "prepare", "check_health", "insert", "event", "events", "add_reports", "reports", "mark",
            "generation",
            "dirty_buckets", "rollups", "count_events", "roll", "unmark", "extent", "projects", "project_records", "newest_records",
            "create_record", "set_retention", "close", "raise_watermark", "delete_expired",
        ])

    public init(_ store: any Store) {
        self.store = store
    }

    public func prepare() async throws(StoreError) {
        try await timers.time("prepare") { () throws(StoreError) in try await store.prepare() }
    }

    public func checkHealth() async throws(StoreError) {
        try await timers.time("check_health") { () throws(StoreError) in try await store.checkHealth() }
    }

    public func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        try await timers.time("insert") { () throws(StoreError) in try await store.insert(events) }
    }

    public func event(project: String, id: String) async throws(StoreError) -> StoredEvent? {
        try await timers.time("event") { () throws(StoreError) in try await store.event(project: project, id: id) }
    }

    public func events(
        matching filter: EventFilter, after position: EventPosition?, limit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        try await timers.time("events") { () throws(StoreError) in
            try await store.events(matching: filter, after: position, limit: limit)
        }
    }

    public func add(_ reports: [DeliveryReport]) async throws(StoreError) {
        try await timers.time("add_reports") { () throws(StoreError) in try await store.add(reports) }
    }

    public func reports(project: String, request: String) async throws(StoreError) -> [DeliveryReport] {
        try await timers.time("reports") { () throws(StoreError) in try await store.reports(project: project, request: request) }
    }

    public func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {
        try await timers.time("mark") { () throws(StoreError) in try await store.mark(tier, marks) }
    }

    public func generation(project: String, days: Range<Int64>) async throws(StoreError) -> Int64 {
        try await timers.time("generation") { () throws(StoreError) in try await store.generation(project: project, days: days) }
    }

    public func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] {
        try await timers.time("dirty_buckets") { () throws(StoreError) in
            try await store.dirtyBuckets(tier, after: key, limit: limit)
        }
    }

    public func rollups(
        _ tier: RollupTier, project: String, in ranges: [Range<Int64>], byteLimit: Int
    ) async throws(StoreError) -> RollupPage {
        try await timers.time("rollups") { () throws(StoreError) in
            try await store.rollups(tier, project: project, in: ranges, byteLimit: byteLimit)
        }
    }

    public func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await timers.time("count_events") { () throws(StoreError) in
            try await store.countEvents(selection, in: ranges, into: reducer)
        }
    }

    public func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int {
        try await timers.time("roll") { () throws(StoreError) in try await store.roll(tier, buckets) }
    }

    public func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {
        try await timers.time("unmark") { () throws(StoreError) in try await store.unmark(tier, buckets) }
    }

    public func extent(project: String) async throws(StoreError) -> Range<Timestamp>? {
        try await timers.time("extent") { () throws(StoreError) in try await store.extent(project: project) }
    }

    public func projects() async throws(StoreError) -> [String] {
        try await timers.time("projects") { () throws(StoreError) in try await store.projects() }
    }
}

extension TimedStore {
    public func projectRecords() async throws(StoreError) -> [ProjectRecord] {
        try await timers.time("project_records") { () throws(StoreError) in try await store.projectRecords() }
    }

    public func newestRecords(of projects: [String]) async throws(StoreError) -> [ProjectRecord] {
        try await timers.time("newest_records") { () throws(StoreError) in try await store.newestRecords(of: projects) }
    }

    public func createRecord(of project: String, retentionDays: Int, at time: Timestamp) async throws(StoreError) {
        try await timers.time("create_record") { () throws(StoreError) in
            try await store.createRecord(of: project, retentionDays: retentionDays, at: time)
        }
    }

    public func setRetention(of project: String, days: Int, at time: Timestamp) async throws(StoreError) {
        try await timers.time("set_retention") { () throws(StoreError) in try await store.setRetention(of: project, days: days, at: time) }
    }

    public func close(_ project: String, before time: Timestamp) async throws(StoreError) {
        try await timers.time("close") { () throws(StoreError) in try await store.close(project, before: time) }
    }

    public func raiseWatermark(of project: String, to time: Timestamp) async throws(StoreError) {
        try await timers.time("raise_watermark") { () throws(StoreError) in try await store.raiseWatermark(of: project, to: time) }
    }

    public func deleteExpiredEvents(of project: String, limit: Int) async throws(StoreError) -> Int {
        try await timers.time("delete_expired") { () throws(StoreError) in try await store.deleteExpiredEvents(of: project, limit: limit) }
    }
}

extension TimedStore {
    public func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int {
        try await timers.time("begin_attempt") { () throws(StoreError) in
            try await store.beginAttempt(on: delivery, by: process, at: time)
        }
    }

    public func forgetAttempts(on delivery: String) async throws(StoreError) {
        try await timers.time("forget_attempts") { () throws(StoreError) in try await store.forgetAttempts(on: delivery) }
    }
}
