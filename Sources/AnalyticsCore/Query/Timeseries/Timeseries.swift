/// A metric by bucket, for the largest groups and for all others together.
public struct Timeseries: Sendable, Equatable {
    public struct Series: Sendable, Equatable {
        /// `nil` for a question without groups, and for the other groups.
        public var key: GroupKey?
        /// One per bucket.
        public var values: [MetricValue]
        /// The value over the whole range. It may differ from the sum of the values: a user may be in several buckets.
        public var total: MetricValue
    }

    /// Largest total first; equal totals in the order of the keys.
    public var series: [Series]
    /// All groups that are not named, as one group; `nil` if there are none.
    public var other: Series?
    /// The value over all selected events.
    public var total: MetricValue

    /// Sorts groups that an earlier question chose: the totals may have changed since.
    mutating func sortByTotal() {
        series.sort { a, b in
            if MetricValue.isLarger(a.total, b.total) { return true }
            return !MetricValue.isLarger(b.total, a.total) && a.key ?? .null < b.key ?? .null
        }
    }

    /// Approximate bytes in memory.
    public var size: Int {
        (series + [other].compactMap(\.self)).reduce(64) { $0 + 64 + ($1.key?.size ?? 0) + $1.values.count * 16 }
    }
}
