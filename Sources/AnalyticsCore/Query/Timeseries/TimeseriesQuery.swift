/// How many events there are in each bucket of a range, in all or by type or source.
public struct TimeseriesQuery: Sendable {
    public var selection: Selection
    public var grouping: CountQuery.Grouping?
    /// How many groups the answer names, the largest; the rest is summed.
    public var limit: Int
    /// The starts of the buckets, rising; the range begins at the first or inside of its bucket.
    public let starts: [Timestamp]

    public static let limits = 1...1_000
    public static let defaultLimit = 10
    /// Buckets that one answer may have: a year of hours, or a week of minutes.
    public static let maximumBuckets = 11_000
    /// Values that one answer may have, groups times buckets.
    public static let maximumValues = 500_000

    /// - Precondition: The selection has a range, and `starts` are its buckets.
    public init(_ selection: Selection, grouping: CountQuery.Grouping? = nil, limit: Int = Self.defaultLimit, starts: [Timestamp]) {
        self.selection = selection
        self.grouping = grouping
        self.limit = limit
        self.starts = starts
    }
}

extension TimeseriesQuery: Question {
    typealias Codec = TimeseriesCodec

    static let name = "timeseries"

    /// Starts that are even tell each other apart by few of them; all of them are hashed all the same.
    var keyParts: [String] {
        [grouping?.rawValue ?? "", String(limit)] + starts.map { String($0.milliseconds) }
    }

    func accepts(_ answer: Timeseries) -> Bool {
        (answer.series + [answer.other].compactMap(\.self)).allSatisfy { $0.values.count == starts.count } && answer.series.count <= limit
    }

    func reducer(over range: Range<Timestamp>) -> TimeseriesTally { TimeseriesTally(self) }
}

extension QueryEngine {
    /// The series, and whether they came from the cache. Throws as ``counts(_:for:)`` does.
    public func timeseries(_ query: TimeseriesQuery, for asker: Asker = .staying) async throws -> (answer: Timeseries, cached: Bool) {
        let (answer, isCached) = try await answer(to: query, for: asker)
        return (answer, isCached)
    }
}
