/// A position in a listing: newest timestamp first; equal timestamps by id, largest UTF-8 bytes first. With an empty id, the position
/// is after all events of its timestamp.
public struct EventPosition: Sendable, Equatable {
    public var timestamp: Timestamp
    public var id: String

    public init(timestamp: Timestamp, id: String) {
        self.timestamp = timestamp
        self.id = id
    }
}
