/// The actor of an event, as 128 bits of SHA-256 over the kind and the text of the id. Clients choose ids: with a shorter or weaker
/// hash they could cause collisions.
struct ActorKey: Sendable, Hashable, Comparable {
    var high: UInt64
    var low: UInt64

    /// For events without a user. Sorts before all others.
    static let none = ActorKey(high: 0, low: 0)

    /// Ids of different kinds are different actors, even with the same text.
    enum Kind: UInt8, Sendable {
        case user = 1
        case anonymous = 2
        case visitor = 3

        /// The name of the kind in the hash.
        fileprivate var name: String {
            switch self {
            case .user: "user"
            case .anonymous: "anonymous"
            case .visitor: "visitor"
            }
        }
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ kind: Kind, _ id: String) {
        (high, low) = digest128 { hash in
            hash.update(field: kind.name)
            hash.update(field: id)
        }
    }

    static func < (a: ActorKey, b: ActorKey) -> Bool { a.high != b.high ? a.high < b.high : a.low < b.low }

    /// The key is already a hash.
    func hash(into hasher: inout Hasher) { hasher.combine(low) }
}

/// The kind and the id of an actor, from an event.
struct ActorName: Sendable, Hashable {
    var kind: ActorKey.Kind
    var id: BytewiseString

    init(_ kind: ActorKey.Kind, _ id: String) {
        self.kind = kind
        self.id = BytewiseString(id)
    }

    /// The user id of an event, else its anonymous id, else its visitor id; `nil` if it has none.
    init?(_ event: ScannedEvent) {
        if let id = event.userId {
            self.init(.user, id)
        } else if let id = event.anonymousId {
            self.init(.anonymous, id)
        } else if let id = event.visitorId {
            self.init(.visitor, id)
        } else {
            return nil
        }
    }

    var key: ActorKey { ActorKey(kind, id.text) }
}
