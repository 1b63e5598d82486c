/// Keeps erasures, and deletes the events that they cover (docs/decisions/erasure.md). What an erasure is made of is the core's, a store sees
/// keys and bytes.
public protocol ErasureStore: Sendable {
    /// The erasures of a project in the order of their ids. Nothing in them can be undone.
    func erasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure]

    /// The same as they are now: what was durable before the call is in them, after a failover too. What is newer may still be undone.
    func newestErasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure]

    /// Writes an erasure in the place of the one that has this revision; 0 where there is none. Returns whether that was so, when it is durable.
    func writeErasure(_ erasure: StoredErasure, replacing revision: Int64) async throws(StoreError) -> Bool

    /// Raises ``ProjectRecord/erasures`` by one, durably: says to writers that there is something to look up.
    func announceErasure(of project: ProjectID) async throws(StoreError)

    /// Deletes the events that are stored under these ids and these very ingest ids, durably. Returns how many there were.
    func remove(_ events: [Event]) async throws(StoreError) -> Int

    /// Overwrites what deleted things have left in files of the store's own. Takes as long as writing all of it anew.
    func overwriteDeleted() async throws(StoreError)
}

/// An erasure, as bytes.
public struct StoredErasure: Sendable, Equatable {
    public var project: ProjectID
    /// Among those of its project.
    public var id: String
    /// Above 0, and another one with each change.
    public var revision: Int64
    public var bytes: [UInt8]

    public init(project: ProjectID, id: String, revision: Int64, bytes: [UInt8]) {
        self.project = project
        self.id = id
        self.revision = revision
        self.bytes = bytes
    }
}
