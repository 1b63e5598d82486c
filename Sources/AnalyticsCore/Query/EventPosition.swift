/// A place in the order of a listing: newest timestamp first, ties by id, largest first (by UTF-8 bytes).
public struct EventPosition: Sendable, Equatable {
    public var timestamp: Timestamp
    public var id: String

    public init(timestamp: Timestamp, id: String) {
        self.timestamp = timestamp
        self.id = id
    }
}
