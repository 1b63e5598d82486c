/// A dictionary of at most `limit` entries. A new entry takes the place of the least recently used one.
///
/// The entries are a doubly linked list in an array, in the order of their last use.
struct BoundedMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Slot {
        var key: Key
        var value: Value
        var newer: Int?
        var older: Int?
    }

    private let limit: Int
    private var places: [Key: Int] = [:]
    private var slots: [Slot] = []
    private var newest: Int?
    private var oldest: Int?

    /// - Parameter limit: At least 1.
    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { slots.count }

    /// Not a use.
    subscript(key: Key) -> Value? { places[key].map { slots[$0].value } }

    mutating func use(_ key: Key) -> Value? {
        guard let place = places[key] else { return nil }
        touch(place)
        return slots[place].value
    }

    /// A use, too.
    mutating func set(_ value: Value, for key: Key) {
        if let place = places[key] {
            slots[place].value = value
            touch(place)
        } else if slots.count < limit {
            slots.append(Slot(key: key, value: value))
            places[key] = slots.count - 1
            linkNewest(slots.count - 1)
        } else if let place = oldest {
            places[slots[place].key] = nil
            slots[place].key = key
            slots[place].value = value
            places[key] = place
            touch(place)
        }
    }

    /// Changes the value if there is one. Not a use.
    mutating func update(_ key: Key, _ body: (inout Value) -> Void) {
        if let place = places[key] { body(&slots[place].value) }
    }

    /// The same for all values.
    mutating func updateAll(_ body: (inout Value) -> Void) {
        for place in slots.indices { body(&slots[place].value) }
    }

    private mutating func touch(_ place: Int) {
        guard place != newest else { return }
        let (newer, older) = (slots[place].newer, slots[place].older)
        if let newer { slots[newer].older = older }
        if let older { slots[older].newer = newer } else { oldest = newer }
        linkNewest(place)
    }

    private mutating func linkNewest(_ place: Int) {
        slots[place].newer = nil
        slots[place].older = newest
        if let newest { slots[newest].newer = place } else { oldest = place }
        newest = place
    }
}
