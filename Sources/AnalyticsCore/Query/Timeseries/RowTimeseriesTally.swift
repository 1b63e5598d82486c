internal import AnalyticsJSON

/// Computes a metric by bucket for the groups of a question, for all others together, and for all.
struct RowTimeseriesTally: RowReducer {
    /// Of rows: their times and columns, and what the entries of these mean.
    private struct Slot {
        var rows: EventRows
        var buckets: DayBuckets
        /// For each entry of the dimension's column the groups that it belongs to.
        var groups: [[Int32]]
        /// For each entry of the measure's column its numbers.
        var numbers: [[Double]]
    }

    private let query: TimeseriesQuery
    private let measurement: EventMeasurement
    private let places: [GroupKey: Int]
    private var slots: [Slot?] = []
    private var days: [Int64: DayBuckets] = [:]

    /// Named groups, the others, all: for each a value by bucket, and its total behind them.
    private let groupCount: Int
    private let width: Int
    private var counts: [Int64]
    /// The last actor that was counted in each place.
    private var seen: [Int32]
    private var measures: [Int: MetricAccumulator] = [:]
    private var actor: Int32 = 0
    private var isUser = false
    private var bytes = 0

    /// Bytes of values that one answer may hold while it is computed.
    static let byteLimit = 64 << 20

    init(_ query: TimeseriesQuery) {
        self.query = query
        measurement = EventMeasurement(dimension: query.dimension, metric: query.metric)
        let keys = query.keys ?? []
        places = Dictionary(zip(keys, keys.indices), uniquingKeysWith: { first, _ in first })
        groupCount = (query.dimension == nil ? 0 : keys.count + 1) + 1
        width = query.starts.count + 1
        counts = Array(repeating: 0, count: measurement.measured == nil ? groupCount * width : 0)
        seen = Array(repeating: 0, count: query.metric == .users ? groupCount * width : 0)
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
        if query.dimension != nil {
            groups = try rows.columns[0].entries.map { (values) throws(GroupTable.Unreadable) in
                var groups: [Int32] = []
                for key in EventMeasurement.keys(values) {
                    let place = Int32(places[key] ?? all - 1)
                    // Those that the answer does not name are one group.
                    if !groups.contains(place) { groups.append(place) }
                }
                return groups
            }
        }
        let numbers = try measurement.numbers(rows)
        slots[slot] = Slot(rows: rows, buckets: buckets, groups: groups, numbers: numbers)
    }

    mutating func begin(isUser: Bool) {
        actor += 1
        self.isUser = isUser
    }

    mutating func end() {}

    mutating func add(slot: Int, _ range: Range<Int>) {
        guard let slot = slots[slot], !isByActor || isUser else { return }
        let (times, only) = (slot.rows.times, slot.buckets.only)
        if query.dimension == nil, let only, query.metric == .users { return add(all, only) }
        for row in range {
            let bucket = only ?? slot.buckets[times[row]]
            let numbers = slot.numbers.isEmpty ? [] : slot.numbers[slot.rows.columns[slot.rows.columns.count - 1].code(of: row)]
            if query.dimension != nil {
                for group in slot.groups[slot.rows.columns[0].code(of: row)] { add(Int(group), bucket, numbers) }
            }
            add(all, bucket, numbers)
        }
    }

    private mutating func add(_ group: Int, _ bucket: Int, _ numbers: [Double] = []) {
        let (place, total) = (group * width + bucket, group * width + width - 1)
        switch query.metric {
        case .events:
            counts[place] += 1
            counts[total] += 1
        case .users:
            guard seen[place] != actor else { return }
            seen[place] = actor
            counts[place] += 1
            guard seen[total] != actor else { return }
            seen[total] = actor
            counts[total] += 1
        case .measure:
            guard !numbers.isEmpty else { return }
            for place in [place, total] {
                bytes += measures[place, default: MetricAccumulator(query.metric)].add(numbers)
            }
        }
    }

    func check() throws {
        if bytes + measures.count * 96 > Self.byteLimit { throw QueryTooLargeError(.tooManyKeys) }
    }

    // MARK: The answer

    func answer() throws -> Timeseries {
        try check()
        func series(_ group: Int, _ key: GroupKey?) -> Timeseries.Series {
            let values = (0..<width).map { value(group * width + $0) }
            return .init(key: key, values: Array(values.dropLast()), total: values[width - 1])
        }
        let total = value(all * width + width - 1)
        guard query.dimension != nil else { return Timeseries(series: [series(all, nil)], other: nil, total: total) }
        let named = (query.keys ?? []).enumerated().map { series($0, $1) }
        return Timeseries(series: named, other: hasValue(all - 1) ? series(all - 1, nil) : nil, total: total)
    }

    private func value(_ place: Int) -> MetricValue {
        guard measurement.measured != nil else { return .integer(counts[place]) }
        return (measures[place] ?? MetricAccumulator(query.metric)).value
    }

    private func hasValue(_ group: Int) -> Bool {
        let total = group * width + width - 1
        return measurement.measured == nil ? counts[total] > 0 : measures[total]?.hasValue == true
    }
}
