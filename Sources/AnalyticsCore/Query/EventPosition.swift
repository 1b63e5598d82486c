/// A place in the order of a listing: newest timestamp first, ties by id, largest first (by UTF-8 bytes). With an empty
/// id it is the place behind all events of its timestamp.
public struct EventPosition: Sendable, Equatable {
    public var timestamp: Timestamp
    public var id: String

    public init(timestamp: Timestamp, id: String) {
        self.timestamp = timestamp
        self.id = id
    }
}
