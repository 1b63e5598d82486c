import Synchronization
import TestSupport

@testable import AnalyticsCore

/// Keeps what is published, and may refuse it, all of it or from some message on.
final class FakePublisher: EventPublisher {
    struct State {
        var messages: [OutgoingMessage] = []
        /// Messages of each publish that are confirmed; all when `nil`.
        var confirmed: Int?
        /// Where confirmed events go, as if a processor had stored them at once.
        var store: FakeStore?
        var gate: AsyncStream<Void>?
    }

    let state = Mutex(State())

    func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        if let gate = state.withLock({ $0.gate }) { for await _ in gate {} }
        return state.withLock { state in
            let confirmed = min(messages.count, state.confirmed ?? messages.count)
            state.messages += messages.prefix(confirmed)
            if let store = state.store { store.insert(chunks: messages.prefix(confirmed)) }
            return messages.indices.map { $0 < confirmed ? .confirmed : .unconfirmed("no route to the broker") }
        }
    }

    /// The events of what was confirmed.
    var events: [Event] {
        get throws { try state.withLock { try $0.messages.flatMap { try ChunkDecoder().decode($0.body).events } } }
    }

    var sender: Sender? {
        get throws { try state.withLock { try $0.messages.last.map { try ChunkDecoder().decode($0.body).sender } } }
    }
}

/// Events in a dictionary; every minute and hour is marked, so counts come from the events.
final class FakeStore: AnalyticsCore.Store {
    struct State {
        var events: [String: StoredEvent] = [:]
        var reports: [DeliveryReport] = []
        var isAway = false
        /// Rollups do not tell their groups.
        var isOverflow = false
        var isBroken = false
        var lastFilter: Selection?
        /// Listings take until they are cancelled.
        var isEndless = false
        var begun = 0
        var cancelled = 0
        var record = ProjectRecord(project: Project.default)
    }

    let state = Mutex(State())

    func insert(chunks: some Sequence<OutgoingMessage>) {
        for chunk in chunks {
            guard let chunk = try? ChunkDecoder().decode(chunk.body), let first = chunk.events.first else { continue }
            state.withLock { state in
                var report = DeliveryReport(
                    project: first.project, request: chunk.waitingRequest ?? "", first: first.receiptParts.index, at: first.receivedAt)
                for event in chunk.events {
                    if state.events[event.id] == nil { report.stored += 1 } else { report.duplicates += 1 }
                    guard state.events[event.id] == nil else { continue }
                    state.events[event.id] = StoredEvent(event: event, processedAt: event.receivedAt, context: nil, fingerprint: 0)
                }
                if chunk.waitingRequest != nil { state.reports.append(report) }
            }
        }
    }

    private func read<R>(_ operation: String, _ body: (inout State) -> R) throws(StoreError) -> R {
        let result: Result<R, StoreError> = state.withLock { state in
            if state.isAway { return .failure(StoreError(.unavailable, operation: operation, "no primary")) }
            if state.isBroken { return .failure(StoreError(.refused, operation: operation, "secret detail")) }
            return .success(body(&state))
        }
        return try result.get()
    }

    func prepare() async throws(StoreError) {}
    func checkHealth() async throws(StoreError) { try read("checkHealth") { _ in } }
    func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        try read("insert") { state in
            for event in events { state.events[event.event.id] = event }
            return events.map { _ in .stored }
        }
    }

    func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent? {
        try read("event") { state in state.events[id].flatMap { $0.event.project == project ? $0 : nil } }
    }

    func events(
        matching filter: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        if state.withLock({ state in
            state.begun += 1
            return state.isEndless
        }) {
            try? await Task.sleep(for: .seconds(600))
            state.withLock { $0.cancelled += 1 }
            throw StoreError(.unavailable, operation: "events", "cancelled")
        }
        return try read("events") { state in
            state.lastFilter = filter
            func key(_ position: EventPosition) -> (Timestamp, String) { (position.timestamp, position.id) }
            let matching = state.events.values.filter { stored in
                let event = stored.event
                return (filter.types.isEmpty || filter.types.contains(event.type))
                    && (filter.sources.isEmpty || filter.sources.contains(event.source))
                    && (filter.from.map { event.timestamp >= $0 } ?? true) && (filter.to.map { event.timestamp < $0 } ?? true)
                    && (position.map { (event.timestamp, event.id) < key($0) } ?? true)
            }
            var bytes = 0
            return matching.sorted { ($0.event.timestamp, $0.event.id) > ($1.event.timestamp, $1.event.id) }.prefix(limit).prefix { event in
                defer { bytes += event.size }
                return bytes == 0 || bytes < byteLimit
            }
        }
    }

    func add(_ reports: [DeliveryReport]) async throws(StoreError) {}
    func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport] {
        try read("reports") { state in state.reports.filter { $0.request == request } }
    }

    func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {}
    func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64 {
        try read("generation") { Int64($0.events.count) }
    }

    func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] { [] }
    func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int
    ) async throws(StoreError) -> RollupPage {
        try read("rollups") { state in
            let indexes = Set(state.events.values.map { $0.event.timestamp.index(of: tier.milliseconds) })
            return RollupPage(
                rollups: indexes.sorted().filter { index in ranges.contains { $0.contains(index) } }.map {
                    Rollup(
                        key: BucketKey(project: project, index: $0), version: Int64(state.events.count), done: 0, dirty: true,
                        table: state.isOverflow
                            ? .overflow
                            : state.record.watermark == nil ? .empty : GroupTable([RollupGroup(type: "kept", source: "s", count: 1)]))
                })
        }
    }

    func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try read("countEvents") { state in
            let events = state.events.values.map(\.event).filter { event in
                ranges.contains { $0.contains(event.timestamp) }
                    && (selection.types.isEmpty || selection.types.contains(event.type))
                    && (selection.sources.isEmpty || selection.sources.contains(event.source))
            }
            var reducer = reducer
            let rows = Dictionary(grouping: events) { [String($0.timestamp.minute), $0.type, $0.source] }
            for (_, events) in rows.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                let event = events[0]
                let count = EventCount(
                    minute: event.timestamp.minute, type: event.type, source: event.source, count: Int64(events.count))
                guard reducer.add(count) else { break }
            }
            reducer.finish()
            return reducer
        }
    }

    func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int { 0 }
    func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>? {
        try read("extent") { state in
            let times = state.events.values.map(\.event.timestamp)
            guard let first = times.min(), let last = times.max() else { return nil }
            return first..<last + .milliseconds(1)
        }
    }

    func projects() async throws(StoreError) -> [ProjectID] { [Project.default] }
    func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {}

    func projectRecords() async throws(StoreError) -> [ProjectRecord] { try read("projectRecords") { [$0.record] } }
    func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] { try read("newestRecords") { [$0.record] } }
    func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {}
    func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {}
    func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {}
    func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {}
    func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int { 0 }
    func forgetAttempts(on delivery: String) async throws(StoreError) {}
    func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int { 0 }
}

final class FakeCache: CountCache {
    private let entries = Mutex<[String: [UInt8]]>([:])

    func value(for key: String) async -> CacheLookup { entries.withLock { $0[key].map { .hit($0) } ?? .miss } }
    func store(_ value: [UInt8], for key: String, timeToLive: Duration) async { entries.withLock { $0[key] = value } }
    func health() async -> Health { .up }
}
