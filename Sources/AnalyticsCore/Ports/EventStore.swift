/// Keeps events.
public protocol EventStore: Sendable {
    /// Inserts events, durably, each at most once by `(project, id)`; one outcome an event, in their order.
    ///
    /// An event that the store names as one that it does not take is an outcome, ``InsertOutcome/refused(_:)``. Whatever else fails is
    /// thrown, says nothing about any one event, and leaves open which of them are in.
    func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome]

    func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent?

    /// Newest first by (timestamp, id), those strictly after `position` in that order: at most `limit`, and no more once they take
    /// `byteLimit` bytes together (``StoredEvent/size``), but one at the least.
    func events(
        matching selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent]
}

public enum InsertOutcome: Sendable, Equatable {
    case stored
    /// The id is taken by an event with the same content: a client's retry. `heldAt` is the timestamp of the event that holds the id,
    /// which differs where the client sent none and the time of receipt stands in.
    case duplicate(heldAt: Timestamp)
    /// This very ingest id is stored already: the broker delivered it again. It names one event, so its timestamp is the same.
    case redelivered
    /// The id is taken by an event with other content, which stays; `heldAt` is its timestamp.
    case conflict(heldAt: Timestamp)
    /// The store will never take this event: it named it, and not merely the set that it was part of.
    case refused(String)
    /// Its time is closed: it is not stored, or not counted. No store answers so, only ``RetentionGate``.
    case expired(before: Timestamp)
    /// It was erased before it came, or while it was stored: it is not there. No store answers so, only ``ErasureGate``.
    case erased
}
