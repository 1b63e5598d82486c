internal import Algorithms

/// Computes a metric by bucket for the groups of a question, and for all others together. Events come in the order of time, so what a bucket
/// takes is given back at its end.
struct ScannedTimeseriesTally: AnswerReducer, EventScanReducer {
    private struct Row: Sendable {
        var values: [MetricValue]
        var present: MetricAccumulator
        var total: MetricAccumulator

        init(_ metric: Metric, buckets: Int) {
            values = Array(repeating: MetricAccumulator(metric).value, count: buckets)
            present = MetricAccumulator(metric)
            total = MetricAccumulator(metric)
        }

        /// About the bytes that this takes, of the present bucket and of the whole range.
        mutating func add(_ user: Int32?, _ numbers: [Double]) -> (bucket: Int, range: Int) {
            (present.add(user: user, numbers: numbers), total.add(user: user, numbers: numbers))
        }
    }

    private let query: TimeseriesQuery
    private let measurement: EventMeasurement
    private let places: [GroupKey: Int]
    private var users = UserNumbers()
    /// The named groups, the other ones, all.
    private var rows: [Row]
    private var all: Row
    private var bucket = 0
    private var bytes = 0
    private var bucketBytes = 0

    /// Bytes of users and values that one answer may hold while it is computed.
    static let byteLimit = 64 << 20

    init(_ query: TimeseriesQuery) {
        self.query = query
        measurement = EventMeasurement(dimension: query.dimension, metric: query.metric)
        let keys = query.keys ?? []
        places = Dictionary(zip(keys, keys.indices), uniquingKeysWith: { first, _ in first })
        rows = Array(repeating: Row(query.metric, buckets: query.starts.count), count: query.dimension == nil ? 0 : keys.count + 1)
        all = Row(query.metric, buckets: query.starts.count)
    }

    mutating func add(_ event: ScannedEvent) -> Bool {
        advance(to: max(0, query.starts.partitioningIndex { $0 > event.timestamp } - 1))
        let user = query.metric == .users ? users.number(of: event) : nil
        let numbers = measurement.numbers(of: event)
        take(all.add(user, numbers))
        if query.dimension != nil {
            var isOther = false
            for key in measurement.keys(of: event) {
                if let place = places[key] { take(rows[place].add(user, numbers)) } else { isOther = true }
            }
            if isOther { take(rows[rows.count - 1].add(user, numbers)) }
        }
        return !isTooLarge
    }

    private mutating func take(_ taken: (bucket: Int, range: Int)) {
        bucketBytes += taken.bucket
        bytes += taken.range
    }

    private mutating func advance(to next: Int) {
        guard next != bucket else { return }
        close()
        bucket = next
        bucketBytes = 0
    }

    private mutating func close() {
        guard query.starts.indices.contains(bucket) else { return }
        for index in rows.indices { Self.close(&rows[index], bucket, query.metric) }
        Self.close(&all, bucket, query.metric)
    }

    private static func close(_ row: inout Row, _ bucket: Int, _ metric: Metric) {
        row.values[bucket] = row.present.value
        row.present = MetricAccumulator(metric)
    }

    private var isTooLarge: Bool { bytes + bucketBytes + users.bytes > Self.byteLimit }

    func check() throws {
        if isTooLarge { throw QueryTooLargeError(.tooManyKeys) }
    }

    func answer() throws -> Timeseries {
        try check()
        var tally = self
        tally.close()
        func series(_ row: Row, _ key: GroupKey?) -> Timeseries.Series {
            .init(key: key, values: row.values, total: row.total.value)
        }
        guard query.dimension != nil, let other = tally.rows.last else {
            return Timeseries(series: [series(tally.all, nil)], other: nil, total: tally.all.total.value)
        }
        let named = zip(query.keys ?? [], tally.rows).map { series($1, $0) }
        return Timeseries(series: named, other: other.total.hasValue ? series(other, nil) : nil, total: tally.all.total.value)
    }
}
