/// Counts users by bucket and state.
struct LifecycleTally: RowReducer {
    /// The starts of the buckets: 0 is everything earlier, 1 the bucket before the first, then those of the answer, and the last is
    /// everything later.
    private let starts: [Timestamp]
    private let buckets: Range<Int>
    private var slots: [BucketRows?] = []
    private var days: [Int64: DayBuckets] = [:]
    private var isUser = false
    /// Of the current user: the buckets with events, and the first of them.
    private var isThere: [Bool]
    private var touched: [Int] = []
    private var earliest = Int.max
    private var users: [[Int64]]

    init(_ query: LifecycleQuery) {
        starts = [Timestamp(milliseconds: .min)] + query.starts
        buckets = 2..<2 + query.buckets
        isThere = Array(repeating: false, count: starts.count)
        users = Lifecycle.State.allCases.map { _ in Array(repeating: 0, count: query.buckets) }
    }

    var fields: [RowField] { [] }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        let buckets = days[rows.day] ?? DayBuckets(day: rows.day, starts: starts)
        days[rows.day] = buckets
        slots[slot] = BucketRows(rows, buckets)
    }

    mutating func begin(isUser: Bool) { self.isUser = isUser }

    mutating func add(slot: Int, _ rows: Range<Int>) {
        guard isUser, let slot = slots[slot] else { return }
        slot.each(rows) { touch($0) }
    }

    private mutating func touch(_ bucket: Int) {
        guard !isThere[bucket] else { return }
        isThere[bucket] = true
        touched.append(bucket)
        earliest = min(earliest, bucket)
    }

    mutating func end() {
        for bucket in touched {
            if buckets.contains(bucket) {
                let state: Lifecycle.State = bucket == earliest ? .new : isThere[bucket - 1] ? .returning : .resurrecting
                users[state.index][bucket - buckets.lowerBound] += 1
            }
            let next = bucket + 1
            if buckets.contains(next), !isThere[next] { users[Lifecycle.State.dormant.index][next - buckets.lowerBound] += 1 }
        }
        for bucket in touched { isThere[bucket] = false }
        touched.removeAll(keepingCapacity: true)
        earliest = .max
    }

    /// Its memory is fixed.
    func check() throws {}

    /// Counted so far.
    func users(_ state: Lifecycle.State, in bucket: Int) -> Int64 { users[state.index][bucket] }

    func answer() throws -> Lifecycle { Lifecycle(users: users) }
}
