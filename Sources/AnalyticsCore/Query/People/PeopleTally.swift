internal import Algorithms

/// Finds the users that a number of another question's answer counts, and keeps a page of them.
struct PeopleTally<Base: PeopleReducer>: RowReducer {
    private var base: Base
    private let cell: Base.Cell
    private let range: Range<Int64>
    private let page: PeoplePage
    private var slots: [EventRows?] = []
    private var identities = IdentityMap.empty

    private var isUser = false
    private var before: Int64 = 0
    /// Of the current user: some of its rows, and a summary of its events.
    private var rows: (rows: EventRows, actor: Int)?
    private var first = Int64.max
    private var last = Int64.min
    private var events: Int64 = 0

    private var total: Int64 = 0
    /// The page and one more user, in the order of the keys.
    private var people: [(key: ActorKey, person: People.Person)] = []
    private var isDamaged = false

    init(_ base: Base, _ cell: Base.Cell, _ range: Range<Timestamp>, _ page: PeoplePage) {
        self.base = base
        self.cell = cell
        self.range = range.lowerBound.milliseconds..<range.upperBound.milliseconds
        self.page = page
    }

    var fields: [RowField] { base.fields }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }
    var needsNames: Bool { true }

    mutating func know(_ identities: IdentityMap) {
        self.identities = identities
        base.know(identities)
    }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        slots[slot] = rows
        try base.load(rows, slot: slot)
    }

    mutating func begin(isUser: Bool) {
        base.begin(isUser: isUser)
        self.isUser = isUser
        before = base.users(behind: cell)
    }

    mutating func add(slot: Int, _ range: Range<Int>) {
        base.add(slot: slot, range)
        guard isUser, let rows = slots[slot], !range.isEmpty else { return }
        if self.rows == nil { self.rows = (rows, rows.starts.partitioningIndex { $0 > range.lowerBound } - 1) }
        let begin = rows.day * RollupTier.day.milliseconds
        for row in range {
            let time = begin + Int64(rows.times[row])
            guard self.range.contains(time) else { continue }
            first = min(first, time)
            last = max(last, time)
            events += 1
        }
    }

    mutating func end() {
        base.end()
        if isUser, let (rows, actor) = rows, base.users(behind: cell) > before {
            total += 1
            keep(rows, actor)
        }
        rows = nil
        (first, last, events) = (.max, .min, 0)
    }

    private mutating func keep(_ rows: EventRows, _ actor: Int) {
        let key = rows.actors[actor]
        if let after = page.after, key <= after.key { return }
        guard people.count <= page.limit || key < people[people.count - 1].key else { return }
        guard let name = try? name(key, rows, actor) else {
            isDamaged = true
            return
        }
        var person = People.Person(name)
        person.events = events
        if events > 0 { (person.first, person.last) = (Timestamp(milliseconds: first), Timestamp(milliseconds: last)) }
        people.insert((key, person), at: people.partitioningIndex { key < $0.key })
        if people.count > page.limit + 1 { people.removeLast() }
    }

    /// Rows under the key of a user may have the name of an anonymous id that belongs to it.
    private func name(_ key: ActorKey, _ rows: EventRows, _ actor: Int) throws(GroupTable.Unreadable) -> ActorName {
        if let user = identities.joined[key] { return ActorName(.user, user.text) }
        guard let name = try rows.names?.name(actor), name.key == key else { throw .damaged }
        return name
    }

    func check() throws {
        try base.check()
        if isDamaged { throw GroupTable.Unreadable.damaged }
    }

    func answer() throws -> People {
        try check()
        return People(total: total, people: people.prefix(page.limit).map(\.person), hasMore: people.count > page.limit)
    }
}
