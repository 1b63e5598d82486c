/// Stores erasures, and deletes the events that they cover (docs/decisions/erasure.md). The core defines the format; a store sees only keys
/// and bytes.
public protocol ErasureStore: Sendable {
    /// The erasures of a project by id. A failover cannot undo anything in them.
    func erasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure]

    /// The current erasures: they include everything that was durable before the call, also after a failover. Newer changes may still be
    /// undone.
    func newestErasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure]

    /// Writes an erasure if the stored one has this revision; 0 if there is none. Returns whether it was written, once it is durable.
    func writeErasure(_ erasure: StoredErasure, replacing revision: Int64) async throws(StoreError) -> Bool

    /// Durably raises ``ProjectRecord/erasures`` by one: writers then read the erasures.
    func announceErasure(of project: ProjectID) async throws(StoreError)

    /// Durably deletes the events stored under these ids and ingest ids. Returns how many there were.
    func remove(_ events: [Event]) async throws(StoreError) -> Int

    /// Overwrites the remains of deleted data in the store's own files. Takes as long as rewriting them.
    func overwriteDeleted() async throws(StoreError)
}

/// An erasure, as bytes.
public struct StoredErasure: Sendable, Equatable {
    public var project: ProjectID
    /// Unique within its project.
    public var id: String
    /// Greater than 0; it changes with each write.
    public var revision: Int64
    public var bytes: [UInt8]

    public init(project: ProjectID, id: String, revision: Int64, bytes: [UInt8]) {
        self.project = project
        self.id = id
        self.revision = revision
        self.bytes = bytes
    }
}
