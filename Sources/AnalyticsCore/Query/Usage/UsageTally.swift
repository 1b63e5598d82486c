/// Adds up events by the UTC day of their receipt.
struct UsageTally: GroupReducer {
    static var content: BucketContent { .received }

    private let query: UsageQuery
    private let days: Range<Int64>
    /// By day; at most one per day of the question.
    private var counts: [Int64: Int64] = [:]
    private var total: Int64 = 0
    private var failure: StoreError?

    init(_ query: UsageQuery) {
        self.query = query
        days = query.days
    }

    var emptied: UsageTally { UsageTally(query) }

    /// Throws a ``StoreError`` if the sum exceeds 64 bits.
    func answer() throws -> Usage {
        try check()
        let first = query.months.lowerBound
        let months = (0...first.distance(to: query.months.upperBound)).map { number in
            let month = first.advanced(by: number)
            let days = month.days.compactMap { day in counts[day].map { Usage.Day(day: day, events: $0) } }
            // At most the total, which is checked.
            return Usage.Month(month: month, events: days.reduce(0) { $0 + $1.events }, days: days)
        }
        return Usage(total: total, months: months)
    }

    func check() throws {
        if let failure { throw failure }
    }

    mutating func add(_ rollup: Rollup, of bucket: BucketSpan) throws(GroupTable.Unreadable) {
        guard let days = try? rollup.received?.days() else {
            // Only a minute whose events are deleted is read with its groups. An earlier version of the service has counted it, or its
            // table is damaged: it is not known when its events were received.
            guard let total = try? rollup.table.total() else { throw rollup.received == nil ? GroupTable.Unreadable.overflow : .damaged }
            return add(total, on: bucket.start(ofQuarter: 0).day)
        }
        for (day, events) in days { add(events, on: day) }
    }

    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable) { throw .overflow }

    mutating func add(_ row: EventCount, from start: Timestamp) -> Bool {
        // Without a readable time of receipt, on the event's own day.
        add(row.count, on: row.received ?? Timestamp(minute: row.minute).day)
        return failure == nil
    }

    mutating func merge(_ other: UsageTally) {
        failure = failure ?? other.failure
        for (day, events) in other.counts { add(events, on: day) }
    }

    private mutating func add(_ events: Int64, on day: Int64) {
        guard days.contains(day), events > 0 else { return }
        let (sum, overflow) = total.addingReportingOverflow(events)
        guard !overflow else {
            failure = failure ?? Self.overflow
            return
        }
        total = sum
        counts[day, default: 0] += events
    }

    private static let overflow = StoreError(
        .misconfigured, operation: "usage", "the sum of the stored counts exceeds 64 bits: some of them are damaged")
}
