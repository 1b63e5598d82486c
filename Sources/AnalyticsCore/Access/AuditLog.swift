/// Who changed what. An entry is written before the change that it tells of: no change is without an entry, and an entry may tell of a
/// change that failed.
public struct AuditLog: Sendable {
    private let store: any RecordStore
    private let clock: WallClock
    private let ids: IDGenerator

    /// How long an entry is kept.
    public static let kept: Duration = .seconds(400 * 86_400)

    /// - Parameter ids: Later ids are greater (``IDGenerator/uuid7(clock:)``).
    public init(store: any RecordStore, clock: WallClock, ids: IDGenerator) {
        self.store = store
        self.clock = clock
        self.ids = ids
    }

    /// Returns when the entry is durable. If this throws, the change must not be made.
    ///
    /// - Parameters:
    ///   - details: No secret.
    ///   - address: The client's.
    public func record(
        _ action: AuditAction, project: ProjectID? = nil, target: String = "", details: String = "", by actor: ChangeAuthor,
        from address: String?
    ) async throws(StoreError) {
        try await write(entry(action, project: project, target: target, details: details, by: actor, from: address))
    }

    /// Not written yet.
    func entry(
        _ action: AuditAction, project: ProjectID? = nil, target: String = "", details: String = "", by actor: ChangeAuthor,
        from address: String?
    ) -> AuditEntry {
        AuditEntry(
            id: ids.next(), time: clock.now(), actor: actor.text, action: action, project: project, target: target, details: details,
            address: address)
    }

    func write(_ entry: AuditEntry) async throws(StoreError) {
        guard try await store.write(try entry.record(expiresAt: entry.time + Self.kept)) else {
            throw StoreError(.refused, operation: StoreOperation.writeRecord.rawValue, "the audit log has an entry '\(entry.id)' already")
        }
    }

    func record(
        _ action: AuditAction, project: ProjectID? = nil, target: String = "", details: String = "", by administrator: Administrator
    ) async throws(StoreError) {
        try await record(
            action, project: project, target: target, details: details, by: administrator.actor, from: administrator.address)
    }

    /// Newest first. Entries that cannot be read are told of as such.
    ///
    /// - Parameters:
    ///   - project: `nil` for all entries, those about no project too.
    ///   - id: Only entries before the one with this id.
    public func entries(of project: ProjectID?, before id: String?, limit: Int) async throws(StoreError) -> [AuditEntry] {
        try await store.records(.audit, of: project?.name, before: id, limit: limit).map { AuditEntry($0) }
    }
}
