/// A metric by bucket: of the largest groups, and of the others.
public struct Timeseries: Sendable, Equatable {
    public struct Series: Sendable, Equatable {
        /// `nil` where the question does not group, and of the other groups.
        public var key: GroupKey?
        /// One for each bucket.
        public var values: [MetricValue]
        /// Over the whole range, which need not be the sum of the values: a user may be in several buckets.
        public var total: MetricValue
    }

    /// Largest total first, ties in the order of the keys.
    public var series: [Series]
    /// The groups that are not named, as if they were one; `nil` when there are none.
    public var other: Series?
    /// Of all events.
    public var total: MetricValue

    /// Of groups that were chosen a moment earlier.
    mutating func sortByTotal() {
        series.sort { a, b in
            if MetricValue.isLarger(a.total, b.total) { return true }
            return !MetricValue.isLarger(b.total, a.total) && a.key ?? .null < b.key ?? .null
        }
    }

    /// About the bytes that it takes in memory.
    public var size: Int {
        (series + [other].compactMap(\.self)).reduce(64) { $0 + 64 + ($1.key?.size ?? 0) + $1.values.count * 16 }
    }
}
