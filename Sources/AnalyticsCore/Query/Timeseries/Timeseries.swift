/// Numbers by bucket: the largest groups, and the sum of the others.
public struct Timeseries: Sendable, Equatable {
    public struct Series: Sendable, Equatable {
        /// Empty where the question does not group.
        public var name: String
        /// One for each bucket.
        public var values: [Int64]
        public var total: Int64

        public static func == (a: Self, b: Self) -> Bool {
            a.name.equalsUTF8(b.name) && a.values == b.values && a.total == b.total
        }
    }

    /// Largest total first, ties by the bytes of their names.
    public var series: [Series]
    /// The groups that are not named, together; `nil` when there are none.
    public var other: Series?

    public var total: Int64 { series.reduce(other?.total ?? 0) { $0 + $1.total } }
}
