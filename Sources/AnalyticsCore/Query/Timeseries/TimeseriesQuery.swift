/// A metric for each bucket of a range, for all events or by the keys of a dimension.
public struct TimeseriesQuery: Sendable {
    public var selection: Selection
    public var metric: Metric
    public var dimension: Dimension?
    /// Maximum number of groups that the answer names: the largest. The others are one group.
    public var limit: Int
    /// The groups to name instead, in this order.
    public var keys: [GroupKey]?
    /// The starts of the buckets, in ascending order; the range begins at the first start or within its bucket.
    public let starts: [Timestamp]

    public static let limits = 1...1_000
    public static let defaultLimit = 10
    /// Maximum number of values in one answer: groups times buckets.
    public static let maximumValues = 500_000

    /// - Precondition: The selection has a range, and `starts` has its buckets.
    public init(
        _ selection: Selection, metric: Metric = .events, by dimension: Dimension? = nil, limit: Int = Self.defaultLimit,
        keys: [GroupKey]? = nil, starts: [Timestamp]
    ) {
        self.selection = selection
        self.metric = metric
        self.dimension = dimension
        self.limit = limit
        self.keys = keys
        self.starts = starts
    }

    fileprivate var isToldByRollups: Bool {
        metric == .events && selection.isToldByRollups && (dimension == nil || dimension?.rolledUp != nil)
    }
}

/// A series that rollups can answer.
struct RolledTimeseries: Question {
    typealias Codec = TimeseriesCodec

    let query: TimeseriesQuery

    static let name = "timeseries"

    var selection: Selection { query.selection }
    var keyParts: [String] { query.keyParts }

    func accepts(_ answer: Timeseries) -> Bool { query.accepts(answer) }
    func reducer(over range: Range<Timestamp>) -> TimeseriesTally { TimeseriesTally(query) }
}

/// A series computed from rows. Its groups are known.
struct RowTimeseries: RowQuestion {
    typealias Codec = TimeseriesCodec

    let query: TimeseriesQuery

    static let name = "timeseries"

    var selection: Selection { query.selection }
    var keyParts: [String] { query.keyParts }

    func accepts(_ answer: Timeseries) -> Bool { query.accepts(answer) }
    func reducer(over range: Range<Timestamp>) -> RowTimeseriesTally { RowTimeseriesTally(query) }
}

extension TimeseriesQuery {
    var keyParts: [String] {
        [metric.text, dimension?.text ?? "", String(limit), String(starts.count)] + starts.map { String($0.milliseconds) }
            + (keys.map { [String($0.count)] + $0.map(\.keyPart) } ?? [])
    }

    func accepts(_ answer: Timeseries) -> Bool {
        guard (answer.series + [answer.other].compactMap(\.self)).allSatisfy({ $0.values.count == starts.count }) else { return false }
        if dimension == nil { return answer.series.count == 1 && answer.series[0].key == nil && answer.other == nil }
        return keys.map { $0 == answer.series.map(\.key) } ?? (answer.series.count <= limit && answer.series.allSatisfy { $0.key != nil })
    }
}

extension QueryEngine {
    /// The series. The answer may be as old as `age` allows.
    public func timeseries(_ query: TimeseriesQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Timeseries> {
        try await recent(query.selection, [RowTimeseries.name] + query.keyParts, age, for: asker, size: \.size) {
            try await timeseries(query)
        }
    }

    /// The series, and whether it came from the cache. Throws the errors of ``counts(_:for:)``.
    public func timeseries(_ query: TimeseriesQuery, for asker: Asker = .staying) async throws -> (answer: Timeseries, cached: Bool) {
        if query.isToldByRollups {
            let (answer, isCached) = try await answer(to: RolledTimeseries(query: query), for: asker)
            return (answer, isCached)
        }
        if query.metric == .sessions {
            let (answer, isCached) = try await answer(to: SessionTimeseries(query: query), for: asker)
            return (answer, isCached)
        }
        var query = query
        var isCached = true
        let areNamed = query.keys != nil
        if let dimension = query.dimension, query.keys == nil {
            // A separate question finds the largest groups, so that the series need memory for these groups only.
            let top = try await top(TopQuery(query.selection, by: dimension, metric: query.metric, limit: query.limit), for: asker)
            query.keys = top.answer.items.map(\.key)
            isCached = top.cached
        }
        var (answer, isAnswerCached) = try await answer(to: RowTimeseries(query: query), for: asker)
        if !areNamed { answer.sortByTotal() }
        return (answer, isCached && isAnswerCached)
    }
}
