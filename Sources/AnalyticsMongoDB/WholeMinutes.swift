import AnalyticsCore

/// Passes the rows of several queries to a reducer in whole minutes, each group once. If several queries each count a part of a minute,
/// their rows are added up. The unfinished minute of a failed query is not passed on. Holds the rows of one minute.
struct WholeMinutes<Reducer: CountReducer> {
    private var reducer: Reducer
    /// Rows of the unfinished minute, in the order of the queries.
    private var rows: [EventCount] = []
    /// The number of rows from earlier queries.
    private var earlier = 0
    private(set) var takesMore = true

    init(_ reducer: Reducer) {
        self.reducer = reducer
    }

    /// A query begins. Its rows are ordered by minute, and none is before the rows of earlier queries.
    mutating func begin() { earlier = rows.count }

    /// Returns false if no more rows are wanted.
    mutating func add(_ row: EventCount) -> Bool {
        if let minute = rows.first?.minute, minute != row.minute { close() }
        if takesMore { rows.append(row) }
        return takesMore
    }

    /// The current query failed: removes its rows of the unfinished minute. Returns the time to continue from; `nil` for the query's own
    /// start.
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

    /// Orders by the bytes of type and source, and by the day of receipt.
    private static func precedes(_ a: EventCount, _ b: EventCount) -> Bool {
        if !a.type.utf8.elementsEqual(b.type.utf8) { return a.type.utf8.lexicographicallyPrecedes(b.type.utf8) }
        if !a.source.utf8.elementsEqual(b.source.utf8) { return a.source.utf8.lexicographicallyPrecedes(b.source.utf8) }
        return a.received ?? .min < b.received ?? .min
    }
}
