import AnalyticsCore

/// Gives a reducer the rows of several queries by whole minutes, each group once: a minute of which each query counts a part is added up, and
/// one of a query that failed is not given on. Holds the rows of one minute.
struct WholeMinutes<Reducer: CountReducer> {
    private var reducer: Reducer
    /// Of the minute that is not at its end yet, in the order of one query after another.
    private var rows: [EventCount] = []
    /// Those of earlier queries.
    private var earlier = 0
    private(set) var takesMore = true

    init(_ reducer: Reducer) {
        self.reducer = reducer
    }

    /// A query begins. Its rows come in the order of their minutes, and none before those of the queries before.
    mutating func begin() { earlier = rows.count }

    /// False when no more are wanted.
    mutating func add(_ row: EventCount) -> Bool {
        if let minute = rows.first?.minute, minute != row.minute { close() }
        if takesMore { rows.append(row) }
        return takesMore
    }

    /// The query that has begun failed: takes back what it gave of a minute that is not at its end. Returns where it has to go on: its own
    /// beginning where `nil`.
    mutating func fail() -> Int64? {
        let isOwn = earlier == 0
        let minute = rows.first?.minute
        rows.removeLast(rows.count - earlier)
        return isOwn ? minute.map { Timestamp(minute: $0).milliseconds } : nil
    }

    mutating func finish() -> Reducer {
        close()
        reducer.finish()
        return reducer
    }

    private mutating func close() {
        let whole = earlier == 0 ? rows : Self.added(rows)
        (rows, earlier) = ([], 0)
        for row in whole where takesMore { takesMore = reducer.add(row) }
    }

    private static func added(_ rows: [EventCount]) -> [EventCount] {
        var sums: [EventCount] = []
        for row in rows.sorted(by: precedes) {
            if let last = sums.last, !precedes(last, row) {
                sums[sums.count - 1].count += row.count
                sums[sums.count - 1].bots += row.bots
            } else {
                sums.append(row)
            }
        }
        return sums
    }

    /// By the bytes of type and source.
    private static func precedes(_ a: EventCount, _ b: EventCount) -> Bool {
        if !a.type.utf8.elementsEqual(b.type.utf8) { return a.type.utf8.lexicographicallyPrecedes(b.type.utf8) }
        return a.source.utf8.lexicographicallyPrecedes(b.source.utf8)
    }
}
