internal import AnalyticsJSON

/// Computes a metric by bucket: for each named group, for all other groups together, and for all events.
struct RowTimeseriesTally: RowReducer {
    /// Rows, and their buckets and groups in the question.
    private final class Slot: Sendable {
        /// Per row; empty if all are in ``bucket``.
        let buckets: [Int32]
        let bucket: Int
        /// Per row the group, -1 if it has several; empty without a dimension.
        let groups: [Int32]
        /// Per row the entry of the dimension's column, and the groups of each entry.
        let codes: RowColumn?
        let several: [[Int32]]
        let numbers: RowNumbers?

        init(_ rows: EventRows, _ buckets: DayBuckets, groups several: [[Int32]], _ numbers: RowNumbers?) {
            bucket = buckets.only ?? 0
            self.buckets = buckets.only == nil ? rows.times.map { Int32(buckets[$0]) } : []
            self.several = several
            codes = several.isEmpty ? nil : rows.columns[0]
            let only = several.map { $0.count == 1 ? $0[0] : -1 }
            groups = several.isEmpty ? [] : (0..<rows.count).map { only[rows.columns[0].code(of: $0)] }
            self.numbers = numbers
        }
    }

    private let query: TimeseriesQuery
    private let measurement: EventMeasurement
    private let hasDimension: Bool
    private let places: [GroupKey: Int]
    private var slots: [Slot?] = []
    private var days: [Int64: DayBuckets] = [:]

    /// The named groups, the others, and all; each has a value by bucket, then its total.
    private let groupCount: Int
    private let width: Int
    private var counts: [Int64]
    /// The last actor counted in each place.
    private var seen: [Int32]
    /// The index of each place in ``measures``, -1 for none.
    private var measureNumbers: [Int32]
    private var measures: [MetricAccumulator] = []
    private var actor: Int32 = 0
    private var isUser = false
    private var bytes = 0

    /// Maximum bytes of values while an answer is computed.
    static let byteLimit = 64 << 20

    init(_ query: TimeseriesQuery) {
        self.query = query
        measurement = EventMeasurement(dimension: query.dimension, metric: query.metric)
        hasDimension = query.dimension != nil
        let keys = query.keys ?? []
        places = Dictionary(zip(keys, keys.indices), uniquingKeysWith: { first, _ in first })
        groupCount = (query.dimension == nil ? 0 : keys.count + 1) + 1
        width = query.starts.count + 1
        let isMeasured = measurement.measured != nil
        counts = Array(repeating: 0, count: isMeasured ? 0 : groupCount * width)
        seen = Array(repeating: 0, count: query.metric == .users ? groupCount * width : 0)
        measureNumbers = Array(repeating: -1, count: isMeasured ? groupCount * width : 0)
    }

    var fields: [RowField] { measurement.fields }
    var isByActor: Bool { query.metric == .users }
    var needsTimes: Bool { query.starts.count > 1 }

    private var all: Int { groupCount - 1 }

    // MARK: Adding

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        let buckets = days[rows.day] ?? DayBuckets(day: rows.day, starts: query.starts)
        days[rows.day] = buckets
        var groups: [[Int32]] = []
        if hasDimension {
            groups = try rows.columns[0].entries.map { (values) throws(GroupTable.Unreadable) in
                var groups: [Int32] = []
                for key in EventMeasurement.keys(values) {
                    let place = Int32(places[key] ?? all - 1)
                    // Keys that the answer does not name share one group.
                    if !groups.contains(place) { groups.append(place) }
                }
                return groups
            }
        }
        slots[slot] = Slot(rows, buckets, groups: groups, try measurement.numbers(rows))
    }

    mutating func begin(isUser: Bool) {
        actor += 1
        self.isUser = isUser
    }

    mutating func end() {}

    mutating func add(slot: Int, _ range: Range<Int>) {
        guard let slot = slots[slot] else { return }
        switch query.metric {
        case .users:
            guard isUser else { return }
            if !hasDimension, slot.buckets.isEmpty { return touch(all, slot.bucket) }
            each(slot, range) { tally, group, bucket, _ in tally.touch(group, bucket) }
        case .events:
            each(slot, range) { tally, group, bucket, _ in tally.counts[group * tally.width + bucket] += 1 }
        case .measure:
            guard let numbers = slot.numbers else { return }
            each(slot, range) { tally, group, bucket, row in tally.measure(group * tally.width + bucket, numbers, row: row) }
        // Handled by ``SessionTimeseries``.
        case .sessions: return
        }
    }

    /// Calls `body` with each row, once per group of the row and once for all.
    @inline(__always)
    private mutating func each(
        _ slot: Slot, _ range: Range<Int>, _ body: (inout Self, _ group: Int, _ bucket: Int, _ row: Int) -> Void
    ) {
        for row in range {
            let bucket = slot.buckets.isEmpty ? slot.bucket : Int(slot.buckets[row])
            if hasDimension {
                let group = slot.groups[row]
                if group >= 0 {
                    body(&self, Int(group), bucket, row)
                } else if let code = slot.codes?.code(of: row) {
                    for group in slot.several[code] { body(&self, Int(group), bucket, row) }
                }
            }
            body(&self, all, bucket, row)
        }
    }

    /// Counts the current actor once in the bucket, and once in the whole range.
    @inline(__always)
    private mutating func touch(_ group: Int, _ bucket: Int) {
        let place = group * width + bucket
        if seen[place] == actor { return }
        seen[place] = actor
        counts[place] += 1
        let total = group * width + width - 1
        if seen[total] == actor { return }
        seen[total] = actor
        counts[total] += 1
    }

    private mutating func measure(_ place: Int, _ numbers: RowNumbers, row: Int) {
        guard numbers.has(row), bytes <= Self.byteLimit else { return }
        if measureNumbers[place] < 0 {
            measureNumbers[place] = Int32(measures.count)
            measures.append(MetricAccumulator(query.metric))
            bytes += 160
        }
        bytes += numbers.add(row, to: &measures[Int(measureNumbers[place])])
    }

    func check() throws {
        if bytes > Self.byteLimit { throw QueryTooLargeError(.tooManyKeys) }
    }

    /// Users, counted so far, in a bucket or in the whole range.
    func users(in bucket: Int?) -> Int64 { counts[all * width + (bucket ?? width - 1)] }

    // MARK: The answer

    func answer() throws -> Timeseries {
        try check()
        let total = total(of: all)
        guard hasDimension else { return Timeseries(series: [series(all, nil, total)], other: nil, total: total.value) }
        let named = (query.keys ?? []).enumerated().map { series($0, $1, self.total(of: $0)) }
        let other = self.total(of: all - 1)
        return Timeseries(series: named, other: other.hasValue ? series(all - 1, nil, other) : nil, total: total.value)
    }

    private func series(_ group: Int, _ key: GroupKey?, _ total: (value: MetricValue, hasValue: Bool)) -> Timeseries.Series {
        let values = (0..<width - 1).map { bucket -> MetricValue in
            let place = group * width + bucket
            guard measurement.measured != nil else { return .integer(counts[place]) }
            return measureNumbers[place] < 0 ? MetricAccumulator(query.metric).value : measures[Int(measureNumbers[place])].value
        }
        return .init(key: key, values: values, total: total.value)
    }

    /// The total of the whole range. Users are counted separately; other metrics are combined from the buckets.
    private func total(of group: Int) -> (value: MetricValue, hasValue: Bool) {
        let buckets = group * width..<group * width + width - 1
        switch query.metric {
        case .users: return (.integer(counts[buckets.upperBound]), counts[buckets.upperBound] > 0)
        case .events, .sessions:
            let sum = counts[buckets].reduce(0, +)
            return (.integer(sum), sum > 0)
        case .measure:
            var total = MetricAccumulator(query.metric)
            for number in measureNumbers[buckets] where number >= 0 { total.merge(measures[Int(number)]) }
            return (total.value, total.hasValue)
        }
    }
}
