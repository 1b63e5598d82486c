import Synchronization
import TestSupport

@testable import AnalyticsCore

/// The store's contract in memory, to the letter of `Ports/Store.swift`.
final class MemoryStore: Store {
    struct Key: Hashable {
        var project: ProjectID
        var id: ExactText

        init(_ project: ProjectID, _ id: String) {
            self.project = project
            self.id = ExactText(id)
        }
    }

    private struct Hooks {
        var beforeRead: (@Sendable (String) async -> Void)?
        var beforeInsert: (@Sendable () async -> Void)?
    }

    private struct State {
        var events: [Key: StoredEvent] = [:]
        var tiers: [RollupTier: [BucketKey: Rollup]] = [.minute: [:], .hour: [:], .day: [:]]
        var reports: [DeliveryReport] = []
        var records: [ProjectID: ProjectRecord] = [:]
        var attempts: [String: Set<String>] = [:]
        var refused: Set<String> = []
        var poison: Set<String> = []
        var insertions: [Int] = []
        var countedRanges: [Range<Timestamp>] = []
        var queries = 0
    }

    let faults: Faults
    private let state = Mutex(State())
    private let hooks = Mutex(Hooks())

    init(faults: Faults = Faults()) {
        self.faults = faults
    }

    // MARK: For tests

    /// Events that the store never takes: each alone is refused as an outcome.
    func refuse(_ ids: Set<String>) { state.withLock { $0.refused = ids } }
    /// Events with which it refuses the whole insert.
    func poison(_ ids: Set<String>) { state.withLock { $0.poison = ids } }
    func beforeInsert(_ body: (@Sendable () async -> Void)?) { hooks.withLock { $0.beforeInsert = body } }
    /// Runs before every operation that reads, with its name.
    func beforeRead(_ body: (@Sendable (String) async -> Void)?) { hooks.withLock { $0.beforeRead = body } }

    var events: [StoredEvent] { state.withLock { $0.events.values.sorted(by: Self.newestFirst) } }
    /// Sizes of the inserts so far.
    var insertions: [Int] { state.withLock { $0.insertions } }
    var countedRanges: [Range<Timestamp>] { state.withLock { $0.countedRanges } }
    /// Operations that read so far.
    var queries: Int { state.withLock { $0.queries } }

    func buckets(_ tier: RollupTier) -> [Rollup] { state.withLock { $0.tiers[tier]!.values.sorted { $0.key < $1.key } } }

    /// Puts a bucket in place as it is.
    func plant(_ tier: RollupTier, _ rollup: Rollup) { state.withLock { $0.tiers[tier]![rollup.key] = rollup } }
    func remove(_ tier: RollupTier, _ key: BucketKey) { state.withLock { $0.tiers[tier]![key] = nil } }
    func edit(_ tier: RollupTier, _ key: BucketKey, _ body: (inout Rollup) -> Void) {
        state.withLock { body(&$0.tiers[tier]![key]!) }
    }
    func delete(id: String, project: ProjectID = Project.default) { state.withLock { $0.events[Key(project, id)] = nil } }

    // MARK: Events

    func prepare() async throws(StoreError) {}

    func checkHealth() async throws(StoreError) { try await read("checkHealth") { _ in } }

    func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        let hooks = hooks.withLock { $0 }
        if let hook = hooks.beforeInsert { await hook() }
        return try write(.insert) { (state) throws(StoreError) in
            guard !events.contains(where: { state.poison.contains($0.event.id) }) else {
                throw StoreError(.refused, operation: "insert", "poison")
            }
            state.insertions.append(events.count)
            return events.map { Self.insert($0, &state) }
        }
    }

    private static func insert(_ event: StoredEvent, _ state: inout State) -> InsertOutcome {
        if state.refused.contains(event.event.id) { return .refused("never") }
        let key = Key(event.event.project, event.event.id)
        guard let present = state.events[key] else {
            state.events[key] = event
            return .stored
        }
        if present.event.receipt == event.event.receipt { return .redelivered }
        let heldAt = present.event.timestamp
        return present.fingerprint == event.fingerprint ? .duplicate(heldAt: heldAt) : .conflict(heldAt: heldAt)
    }

    func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent? {
        try await read("event") { $0.events[Key(project, id)] }
    }

    func events(
        matching selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        try await read("events") { state in
            let matching = state.events.values.filter { stored in
                let event = stored.event
                return Self.selects(selection, event) && selection.from.map { event.timestamp >= $0 } ?? true
                    && selection.to.map { event.timestamp < $0 } ?? true && position.map { Self.isAfter($0, event) } ?? true
            }
            var bytes = 0
            return matching.sorted(by: Self.newestFirst).prefix(limit).prefix { event in
                defer { bytes += event.size }
                return bytes == 0 || bytes < byteLimit
            }
        }
    }

    /// Whatever its range.
    private static func selects(_ selection: Selection, _ event: Event) -> Bool {
        precondition(selection.data.isEmpty, "this store does not look into data")
        func holds(_ value: String?, _ any: [String]) -> Bool {
            any.isEmpty || value.map { value in any.contains { $0.equalsUTF8(value) } } ?? false
        }
        return event.project == selection.project && holds(event.type, selection.types) && holds(event.source, selection.sources)
            && holds(event.userId, selection.userIds) && holds(event.correlationId, selection.correlationIds)
    }

    func add(_ reports: [DeliveryReport]) async throws(StoreError) {
        try write(.report) { state in
            for report in reports where !state.reports.contains(where: { $0.isSame(report) }) { state.reports.append(report) }
        }
    }

    func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport] {
        try await read("reports") { $0.reports.filter { $0.project == project && $0.request == request } }
    }

    static func newestFirst(_ a: StoredEvent, _ b: StoredEvent) -> Bool {
        if a.event.timestamp != b.event.timestamp { return a.event.timestamp > b.event.timestamp }
        return b.event.id.utf8.lexicographicallyPrecedes(a.event.id.utf8)
    }

    private static func isAfter(_ position: EventPosition, _ event: Event) -> Bool {
        if event.timestamp != position.timestamp { return event.timestamp < position.timestamp }
        return event.id.utf8.lexicographicallyPrecedes(position.id.utf8)
    }

    // MARK: Rollups

    func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {
        let steps: [RollupTier: Faults.Step] = [.minute: .markMinute, .hour: .markHour, .day: .markDay]
        try write(steps[tier]!) { state in
            for mark in marks {
                if state.tiers[tier]![mark.key] != nil {
                    state.tiers[tier]![mark.key]!.version += 1
                    state.tiers[tier]![mark.key]!.dirty = true
                } else {
                    let version = tier.firstVersion
                    state.tiers[tier]![mark.key] = Rollup(
                        key: mark.key, version: version, done: mark.table == nil ? 0 : version, dirty: mark.table == nil,
                        table: mark.table ?? .empty)
                }
            }
        }
    }

    func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64 {
        try await read("generation") { state in
            state.tiers[.day]!.values.reduce(0) { $1.key.project == project && days.contains($1.key.index) ? $0 + $1.version : $0 }
        }
    }

    func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] {
        try await read("dirtyBuckets") { state in
            let dirty = state.tiers[tier]!.values.filter { bucket in bucket.dirty && key.map { $0 < bucket.key } ?? true }
            return dirty.sorted { $0.key < $1.key }.prefix(limit)
                .map { BucketVersion(key: $0.key, version: $0.version, done: $0.done) }
        }
    }

    func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int
    ) async throws(StoreError) -> RollupPage {
        try await read("rollups \(tier)") { state in
            let found = state.tiers[tier]!.values
                .filter { bucket in bucket.key.project == project && ranges.contains { $0.contains(bucket.key.index) } }
                .sorted { $0.key < $1.key }
            var bytes = 0
            for (index, rollup) in found.enumerated() {
                if index > 0, bytes >= byteLimit {
                    return RollupPage(rollups: Array(found.prefix(index)), next: found[index - 1].key.index + 1)
                }
                bytes += rollup.table.size
            }
            return RollupPage(rollups: found)
        }
    }

    func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await read("countEvents") { state in
            state.countedRanges += ranges
            var rows: [Row: Int64] = [:]
            for event in state.events.values.lazy.map(\.event) where ranges.contains(where: { $0.contains(event.timestamp) }) {
                guard Self.selects(selection, event) else { continue }
                let row = Row(minute: event.timestamp.minute, type: ExactText(event.type), source: ExactText(event.source))
                rows[row, default: 0] += 1
            }
            var reducer = reducer
            let ordered = rows.sorted { ($0.key.minute, $0.key.type, $0.key.source) < ($1.key.minute, $1.key.type, $1.key.source) }
            for (row, count) in ordered {
                let count = EventCount(minute: row.minute, type: row.type.text, source: row.source.text, count: count)
                guard reducer.add(count) else { break }
            }
            reducer.finish()
            return reducer
        }
    }

    func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int {
        try write(.roll) { state in
            var applied = 0
            for bucket in buckets {
                guard var present = state.tiers[tier]![bucket.key], present.done < bucket.version else { continue }
                present.table = bucket.table
                present.done = bucket.version
                present.dirty = present.version != bucket.version
                state.tiers[tier]![bucket.key] = present
                applied += 1
            }
            return applied
        }
    }

    func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {
        try write(.unmark) { state in
            for bucket in buckets where state.tiers[tier]![bucket.key]?.version == bucket.version {
                state.tiers[tier]![bucket.key]!.dirty = false
            }
        }
    }

    func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>? {
        try await read("extent") { state in
            let events = state.events.values.filter { $0.event.project == project }
            let marked = state.tiers.mapValues { $0.keys.filter { $0.project == project }.map(\.index) }
            let minutes = marked[.minute]! + events.map(\.event.timestamp.minute)
            let hours = marked[.hour]!
            guard let first = (minutes + hours.map { $0 * 60 }).min(), let last = (minutes + hours.map { $0 * 60 + 59 }).max() else {
                return nil
            }
            return Timestamp(minute: first)..<Timestamp(minute: last + 1)
        }
    }

    func projects() async throws(StoreError) -> [ProjectID] {
        try await read("projects") { state in
            let keys = state.tiers.values.flatMap { $0.keys.map(\.project) }
            return Set(state.events.values.map(\.event.project) + keys).sorted()
        }
    }

    // MARK: Projects

    func projectRecords() async throws(StoreError) -> [ProjectRecord] {
        try await read("projectRecords") { Array($0.records.values) }
    }

    func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] {
        try await read("newestRecords") { state in projects.compactMap { state.records[$0] } }
    }

    func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {
        try edit(project) { if $0.retentionDays == nil { ($0.retentionDays, $0.changedAt) = (retentionDays, time) } }
    }

    func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {
        try edit(project) { ($0.retentionDays, $0.changedAt) = (days, time) }
    }

    func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {
        try edit(project) { $0.closedBefore = max($0.closedBefore ?? time, time) }
    }

    func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {
        try edit(project) {
            $0.closedBefore = max($0.closedBefore ?? time, time)
            $0.watermark = max($0.watermark ?? time, time)
        }
    }

    func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int {
        try write(.delete) { state in
            guard let watermark = state.records[project]?.watermark else { return 0 }
            let expired = state.events.filter { $0.key.project == project && $0.value.event.timestamp < watermark }
            let oldest = expired.sorted { $0.value.event.timestamp < $1.value.event.timestamp }.prefix(limit)
            for (key, _) in oldest { state.events[key] = nil }
            return oldest.count
        }
    }

    // MARK: Attempts

    /// Of all deliveries.
    var attempts: Int { state.withLock { $0.attempts.values.reduce(0) { $0 + $1.count } } }

    func plantAttempts(_ count: Int, on delivery: String) {
        state.withLock { $0.attempts[delivery] = Set((0..<count).map { "process \($0)" }) }
    }

    func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int {
        try write(.beginAttempt) { state in
            state.attempts[delivery, default: []].insert(process)
            return state.attempts[delivery, default: []].count - 1
        }
    }

    func forgetAttempts(on delivery: String) async throws(StoreError) { try write(.forgetAttempts) { $0.attempts[delivery] = nil } }

    private func edit(_ project: ProjectID, _ body: (inout ProjectRecord) -> Void) throws(StoreError) {
        try write(.record) { body(&$0.records[project, default: ProjectRecord(project: project)]) }
    }

    // MARK: Faults

    private func write<R>(_ step: Faults.Step, _ body: (inout State) throws(StoreError) -> R) throws(StoreError) -> R {
        guard faults.pass(step, .before) else { throw away(step) }
        let result = try locked(body)
        guard faults.pass(step, .after) else { throw away(step) }
        return result
    }

    private func read<R>(_ name: String, _ body: (inout State) -> R) async throws(StoreError) -> R {
        let hooks = hooks.withLock { $0 }
        if let hook = hooks.beforeRead { await hook(name) }
        guard faults.pass(.read, .before) else { throw away(.read) }
        return try locked { (state) throws(StoreError) in
            state.queries += 1
            return body(&state)
        }
    }

    /// `Mutex.withLock` wants to send its result; these results are copies of values, so a box is enough.
    private func locked<R>(_ body: (inout State) throws(StoreError) -> R) throws(StoreError) -> R {
        try state.withLock { (state) throws(StoreError) in UncheckedBox(value: try body(&state)) }.value
    }

    private func away(_ step: Faults.Step) -> StoreError { StoreError(.unavailable, operation: step.rawValue, "away") }
}

extension DeliveryReport {
    fileprivate func isSame(_ other: Self) -> Bool { project == other.project && request == other.request && first == other.first }
}

private struct Row: Hashable {
    var minute: Int64
    var type: ExactText
    var source: ExactText
}

private struct UncheckedBox<R>: @unchecked Sendable {
    var value: R
}
