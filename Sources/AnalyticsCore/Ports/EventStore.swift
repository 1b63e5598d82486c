/// Stores events.
public protocol EventStore: Sendable {
    /// Durably inserts events, each at most once by `(project, id)`. Returns one outcome per event, in order.
    ///
    /// If the store names an event that it refuses, its outcome is ``InsertOutcome/refused(_:)``. Any other failure is thrown; it blames no
    /// event and leaves open which of them are stored.
    func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome]

    func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent?

    /// Newest first by (timestamp, id), strictly after `position` in that order: at most `limit`. A page ends with the event
    /// that reaches `byteLimit` bytes (``StoredEvent/size``).
    func events(
        matching selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent]
}

public enum InsertOutcome: Sendable, Equatable {
    case stored
    /// The id is taken by an event with the same content: a client's retry. `heldAt` is the timestamp of the stored event. It differs if
    /// the client sent none and the time of receipt is used.
    case duplicate(heldAt: Timestamp)
    /// This ingest id is already stored: the broker delivered the event again. The timestamp is the same.
    case redelivered
    /// The id is taken by an event with other content, which is kept; `heldAt` is its timestamp.
    case conflict(heldAt: Timestamp)
    /// The store will never accept this event. The store named it, not only the set that contained it.
    case refused(String)
    /// Its time is closed: it is not stored, or not counted. Returned only by ``RetentionGate``.
    case expired(before: Timestamp)
    /// It was erased before or while it was stored: it is not there. Returned only by ``ErasureGate``.
    case erased
}
