/// Counts users by the number of buckets in which they have events.
struct StickinessTally: RowReducer {
    private let query: StickinessQuery
    private var slots: [BucketRows?] = []
    private var days: [Int64: DayBuckets] = [:]
    private var isUser = false
    /// Per bucket, the last actor counted.
    private var seen: [Int32]
    private var actor: Int32 = 0
    /// The number of buckets of the current user.
    private var count = 0
    /// Users by the minimum number of buckets.
    private var atLeast: [Int64]

    init(_ query: StickinessQuery) {
        self.query = query
        seen = Array(repeating: 0, count: query.starts.count)
        atLeast = Array(repeating: 0, count: query.starts.count)
    }

    var fields: [RowField] { [] }
    var isByActor: Bool { true }
    var needsTimes: Bool { query.starts.count > 1 }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        let buckets = days[rows.day] ?? DayBuckets(day: rows.day, starts: query.starts)
        days[rows.day] = buckets
        slots[slot] = BucketRows(rows, buckets)
    }

    mutating func begin(isUser: Bool) {
        actor += 1
        self.isUser = isUser
    }

    mutating func add(slot: Int, _ rows: Range<Int>) {
        guard isUser, let slot = slots[slot] else { return }
        slot.each(rows) { touch($0) }
    }

    private mutating func touch(_ bucket: Int) {
        guard seen[bucket] != actor else { return }
        seen[bucket] = actor
        count += 1
    }

    mutating func end() {
        for number in 0..<count { atLeast[number] += 1 }
        count = 0
    }

    /// Its memory is fixed.
    func check() throws {}

    func answer() throws -> Stickiness { Stickiness(exactly: atLeast.indices.map { users(in: $0 + 1) }) }

    /// Users, counted so far, with events in at least this many buckets.
    func users(inAtLeast count: Int) -> Int64 { atLeast[count - 1] }

    func users(in count: Int) -> Int64 { atLeast[count - 1] - (count < atLeast.count ? atLeast[count] : 0) }
}
