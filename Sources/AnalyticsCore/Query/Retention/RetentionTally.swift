internal import Algorithms

/// Counts users by the periods of their first and returning events.
struct RetentionTally: RowReducer {
    private struct Slot {
        let rows: BucketRows
        let masks: RowMasks
    }

    private let query: RetentionQuery
    private let range: Range<Int64>
    private let matcher: EventMatcher
    /// The starts of the buckets: 0 is everything before the cohorts, then the cohorts, the later periods, and last everything after them.
    private let starts: [Timestamp]
    private var slots: [Slot?] = []
    private var days: [Int64: DayBuckets] = [:]
    private var isUser = false

    /// Of the current user: the buckets with a first event in the range, those with a returning event, and the last of the latter.
    private var firsts: [Bool]
    private var returns: [Bool]
    private var touched: [Int] = []
    private var lastReturn = 0
    /// The time of the earliest first event.
    private var earliest = Int64.max

    private var sizes: [Int64]
    private var values: [Int64]

    private static let first: UInt32 = 1
    private static let returning: UInt32 = 2

    init(_ query: RetentionQuery, _ range: Range<Timestamp>) {
        self.query = query
        self.range = range.lowerBound.milliseconds..<range.upperBound.milliseconds
        matcher = EventMatcher([query.first, query.returning])
        starts = [Timestamp(milliseconds: .min)] + query.starts
        firsts = Array(repeating: false, count: starts.count)
        returns = firsts
        sizes = Array(repeating: 0, count: query.cohorts)
        values = Array(repeating: 0, count: query.cohorts * query.periods)
    }

    var fields: [RowField] { matcher.fields }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    // MARK: Adding

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        let buckets = days[rows.day] ?? DayBuckets(day: rows.day, starts: starts)
        days[rows.day] = buckets
        slots[slot] = Slot(rows: BucketRows(rows, buckets), masks: try matcher.masks(rows.columns[...]))
    }

    mutating func begin(isUser: Bool) { self.isUser = isUser }

    mutating func add(slot: Int, _ rows: Range<Int>) {
        guard isUser, let slot = slots[slot] else { return }
        for row in rows {
            let mask = slot.masks[row]
            guard mask != 0 else { continue }
            let bucket = slot.rows.bucket(of: row)
            if mask & Self.first != 0 {
                let time = slot.rows.time(of: row)
                earliest = min(earliest, time)
                if !query.firstEver, range.contains(time), !firsts[bucket] {
                    firsts[bucket] = true
                    touched.append(bucket)
                }
            }
            if mask & Self.returning != 0 {
                lastReturn = max(lastReturn, bucket)
                if !returns[bucket] {
                    returns[bucket] = true
                    touched.append(bucket)
                }
            }
        }
    }

    mutating func end() {
        guard earliest != .max || !touched.isEmpty else { return }
        if query.firstEver {
            if range.contains(earliest) { count(starts.partitioningIndex { $0.milliseconds > earliest } - 2) }
        } else {
            // A bucket may be listed twice, for a first and a returning event.
            for bucket in touched where firsts[bucket] {
                firsts[bucket] = false
                count(bucket - 1)
            }
        }
        for bucket in touched { returns[bucket] = false }
        touched.removeAll(keepingCapacity: true)
        (lastReturn, earliest) = (0, .max)
    }

    /// Counts the user in a cohort.
    private mutating func count(_ cohort: Int) {
        guard sizes.indices.contains(cohort) else { return }
        sizes[cohort] += 1
        // The bucket of period 0.
        let own = cohort + 1
        let row = cohort * query.periods
        switch query.mode {
        case .on:
            for period in 0..<query.periods where returns[own + period] { values[row + period] += 1 }
        case .onOrAfter:
            let last = (own..<own + query.periods).last { returns[$0] } ?? 0
            for period in 0..<max(0, last - own + 1) { values[row + period] += 1 }
        case .unbounded:
            for period in 0..<max(0, min(query.periods, lastReturn - own + 1)) { values[row + period] += 1 }
        }
    }

    /// Its memory is fixed.
    func check() throws {}

    /// Counted so far.
    func size(of cohort: Int) -> Int64 { sizes[cohort] }
    func users(of cohort: Int, in period: Int) -> Int64 { values[cohort * query.periods + period] }

    // MARK: The answer

    func answer() throws -> UserRetention {
        UserRetention(
            cohorts: sizes.indices.map { cohort in
                .init(size: sizes[cohort], values: Array(values[cohort * query.periods..<(cohort + 1) * query.periods]))
            })
    }
}
