/// Who did something, as 128 bits of SHA-256 over the kind and the text of the id: clients choose ids, and a shorter or weaker hash could be
/// made to collide.
struct ActorKey: Sendable, Hashable, Comparable {
    var high: UInt64
    var low: UInt64

    /// Of events without a user. Before all others.
    static let none = ActorKey(high: 0, low: 0)

    /// Ids of two kinds are different actors, whatever their text.
    enum Kind: UInt8, Sendable {
        case user = 1
        case anonymous = 2
        case visitor = 3

        /// What a key is made under.
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

    /// The key is as good as random, and need not be hashed again.
    func hash(into hasher: inout Hasher) { hasher.combine(low) }
}

/// An actor as events name it.
struct ActorName: Sendable, Hashable {
    var kind: ActorKey.Kind
    var id: BytewiseString

    init(_ kind: ActorKey.Kind, _ id: String) {
        self.kind = kind
        self.id = BytewiseString(id)
    }

    /// The user id of an event, else its anonymous id, else its visitor id; `nil` where it has none.
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
