/// The largest keys of a dimension.
public struct Top: Sendable, Equatable {
    public struct Item: Sendable, Equatable {
        public var key: GroupKey
        public var value: MetricValue
    }

    public var items: [Item]
    /// The value over all selected events.
    public var total: MetricValue
    /// The value over the events with a key that is not among the items.
    public var other: MetricValue

    /// The share of the total; `nil` if the total is zero or undefined.
    public func share(of value: MetricValue) -> Double? {
        let total = total.number
        return total == 0 || !total.isFinite ? nil : value.number / total
    }

    /// Approximate bytes in memory.
    public var size: Int { items.reduce(64) { $0 + $1.key.size + 16 } }
}
