import Synchronization
import TestSupport

@testable import AnalyticsCore

/// A store in memory that notes what is written to it, in order. Writes of records can fail, and can be preceded by something else.
final class JournalStore: KeyStore, ProjectStore, RecordStore {
    private struct State {
        var journal: [String] = []
        var down: Set<Record.Kind> = []
        var beforeWrite: (@Sendable (Record) async throws(StoreError) -> Void)?
    }

    let memory = MemoryStore()
    private let state = Mutex(State())

    /// Attempts to write, also those that failed: `audit ACTION`, `write KIND`, `remove KIND`, or the name of the operation.
    var journal: [String] { state.withLock { $0.journal } }

    func forgetJournal() { state.withLock { $0.journal = [] } }

    /// Records of these kinds cannot be written.
    func down(_ kinds: Set<Record.Kind>) { state.withLock { $0.down = kinds } }

    /// Runs before each write of a record.
    func beforeWrite(_ body: @escaping @Sendable (Record) async throws(StoreError) -> Void) { state.withLock { $0.beforeWrite = body } }

    private func note(_ operation: StoreOperation) { note(operation.rawValue) }

    private func note(_ text: String) { state.withLock { $0.journal.append(text) } }

    // MARK: Records

    func record(_ kind: Record.Kind, _ id: String) async throws(StoreError) -> Record? { try await memory.record(kind, id) }

    func records(_ kind: Record.Kind, of owner: String?, before id: String?, limit: Int) async throws(StoreError) -> [Record] {
        try await memory.records(kind, of: owner, before: id, limit: limit)
    }

    func write(_ record: Record) async throws(StoreError) -> Bool {
        if record.kind == .audit {
            note("audit \(AuditEntry(record).action.rawValue)")
        } else {
            note("write \(record.kind.rawValue)")
        }
        if let beforeWrite = state.withLock({ $0.beforeWrite }) { try await beforeWrite(record) }
        if state.withLock({ $0.down.contains(record.kind) }) {
            throw StoreError(.unavailable, operation: StoreOperation.writeRecord.rawValue, "down")
        }
        return try await memory.write(record)
    }

    func removeRecords(_ kind: Record.Kind, _ ids: [String]) async throws(StoreError) {
        note("remove \(kind.rawValue)")
        try await memory.removeRecords(kind, ids)
    }

    func removeExpiredRecords(at time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        note(.removeExpiredRecords)
        return try await memory.removeExpiredRecords(at: time, limit: limit)
    }

    // MARK: Keys

    func createKey(_ key: StoredKey) async throws(StoreError) {
        note(.createKey)
        try await memory.createKey(key)
    }

    func key(_ id: String) async throws(StoreError) -> StoredKey? { try await memory.key(id) }

    func keys(of project: ProjectID?) async throws(StoreError) -> [StoredKey] { try await memory.keys(of: project) }

    func revokeKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        note(.revokeKey)
        try await memory.revokeKey(id, at: time)
    }

    func expireKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        note(.expireKey)
        try await memory.expireKey(id, at: time)
    }

    func removeKeys(_ ids: [String]) async throws(StoreError) {
        note(.removeKeys)
        try await memory.removeKeys(ids)
    }

    func recordKeyUses(_ uses: [String: Timestamp]) async throws(StoreError) {
        note(.recordKeyUses)
        try await memory.recordKeyUses(uses)
    }

    func closeAnonymousAccess(at time: Timestamp) async throws(StoreError) {
        note(.closeAnonymousAccess)
        try await memory.closeAnonymousAccess(at: time)
    }

    func isAnonymousAccessClosed() async throws(StoreError) -> Bool { try await memory.isAnonymousAccessClosed() }

    // MARK: Projects

    func projectRecords() async throws(StoreError) -> [ProjectRecord] { try await memory.projectRecords() }

    func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] {
        try await memory.newestRecords(of: projects)
    }

    func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {
        note(.createRecord)
        try await memory.createRecord(of: project, retentionDays: retentionDays, at: time)
    }

    func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {
        note(.setRetention)
        try await memory.setRetention(of: project, days: days, at: time)
    }

    func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError) {
        note(.setTimeZone)
        try await memory.setTimeZone(of: project, to: zone)
    }

    func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError) {
        note(.setProperties)
        try await memory.setProperties(of: project, to: paths)
    }

    func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError) {
        note(.setVisitorIds)
        try await memory.setVisitorIds(of: project, to: isOn)
    }

    func createProject(_ project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool {
        note(.createProject)
        return try await memory.createProject(project, at: time)
    }

    func setTitle(of project: ProjectID, to title: String) async throws(StoreError) {
        note(.setTitle)
        try await memory.setTitle(of: project, to: title)
    }

    func setArchived(of project: ProjectID, at time: Timestamp?) async throws(StoreError) {
        note(.setArchived)
        try await memory.setArchived(of: project, at: time)
    }

    func setOrigins(of project: ProjectID, to origins: [String]) async throws(StoreError) {
        note(.setOrigins)
        try await memory.setOrigins(of: project, to: origins)
    }

    func setRates(of project: ProjectID, to rates: ProjectRates) async throws(StoreError) {
        note(.setRates)
        try await memory.setRates(of: project, to: rates)
    }

    func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {
        note(.close)
        try await memory.close(project, before: time)
    }

    func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {
        note(.raiseWatermark)
        try await memory.raiseWatermark(of: project, to: time)
    }

    func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int {
        note(.deleteExpired)
        return try await memory.deleteExpiredEvents(of: project, limit: limit)
    }
}
