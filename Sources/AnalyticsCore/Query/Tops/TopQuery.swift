/// A question for the keys of a dimension with the largest metric.
public struct TopQuery: Sendable {
    public var selection: Selection
    public var dimension: Dimension
    public var metric: Metric
    /// Maximum number of keys that the answer lists, within ``limits``.
    public var limit: Int

    public static let limits = 1...1_000
    public static let defaultLimit = 10

    public init(_ selection: Selection, by dimension: Dimension, metric: Metric = .events, limit: Int = Self.defaultLimit) {
        self.selection = selection
        self.dimension = dimension
        self.metric = metric
        self.limit = limit
    }
}

extension TopQuery: RowQuestion {
    typealias Codec = TopCodec

    static let name = "topn"

    var keyParts: [String] { [dimension.text, metric.text, String(limit)] }

    func accepts(_ answer: Top) -> Bool { answer.items.count <= limit }

    func reducer(over range: Range<Timestamp>) -> TopTally { TopTally(self) }
}

extension QueryEngine {
    /// The largest keys. The answer may be as old as `age` allows.
    public func top(_ query: TopQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Top> {
        try await recent(query.selection, [TopQuery.name] + query.keyParts, age, for: asker, size: \.size) { try await top(query) }
    }

    /// The largest keys, and whether they came from the cache.
    public func top(_ query: TopQuery, for asker: Asker = .staying) async throws -> (answer: Top, cached: Bool) {
        if query.metric == .sessions {
            let series = TimeseriesQuery(
                query.selection, metric: .sessions, by: query.dimension, limit: query.limit, starts: [query.selection.from ?? .earliest])
            let (answer, isCached) = try await answer(to: SessionTimeseries(query: series), for: asker)
            return (Top(answer), isCached)
        }
        guard query.metric == .events, let grouping = query.dimension.rolledUp, query.selection.isToldByRollups else {
            let (answer, isCached) = try await answer(to: query, for: asker)
            return (answer, isCached)
        }
        let (counts, isCached) = try await counts(CountQuery(query.selection, grouping: grouping, limit: query.limit), for: asker)
        let items = counts.groups.map { Top.Item(key: GroupKey($0.name), value: .integer($0.count)) }
        return (Top(items: items, total: .integer(counts.total), other: .integer(counts.other)), isCached)
    }
}

extension Top {
    /// The top of series over one bucket.
    fileprivate init(_ series: Timeseries) {
        self.init(
            items: series.series.compactMap { one in one.key.map { Item(key: $0, value: one.total) } }, total: series.total,
            other: series.other?.total ?? .integer(0))
    }
}
