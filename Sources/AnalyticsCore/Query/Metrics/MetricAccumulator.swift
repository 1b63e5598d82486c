/// Computes a measure over the numbers of events.
struct MetricAccumulator: Sendable {
    private enum State {
        case sum(ExactSum, count: Int64)
        case extreme(Double?)
        case values([Double])
    }

    private let metric: Metric
    private var state: State

    init(_ metric: Metric) {
        self.metric = metric
        switch metric {
        case .measure(.min, _), .measure(.max, _): state = .extreme(nil)
        case .measure(.p50, _), .measure(.p90, _), .measure(.p99, _): state = .values([])
        default: state = .sum(ExactSum(), count: 0)
        }
    }

    /// Returns the approximate number of bytes added.
    mutating func add(_ number: Double) -> Int {
        switch state {
        case .sum(var sum, let count):
            // A second reference to the sums or values would copy them.
            state = .extreme(nil)
            sum.add(number)
            state = .sum(sum, count: count + 1)
            return 0
        case .extreme(let extreme):
            state = .extreme(more(extreme: extreme, number))
            return 0
        case .values(var values):
            state = .extreme(nil)
            values.append(number)
            state = .values(values)
            return 8
        }
    }

    /// Approximate bytes in memory.
    var size: Int { if case .values(let values) = state { values.count * 8 + 64 } else { 64 } }

    /// Adds everything that was added to the other.
    mutating func merge(_ other: MetricAccumulator) {
        switch (state, other.state) {
        case (.sum(var a, let count), .sum(let b, let more)):
            a.add(b)
            state = .sum(a, count: count + more)
        case (.extreme(let a), .extreme(let b)): state = .extreme(b.map { more(extreme: a, $0) } ?? a)
        case (.values(var a), .values(let b)):
            state = .extreme(nil)
            a.append(contentsOf: b)
            state = .values(a)
        default: preconditionFailure("accumulators of two metrics")
        }
    }

    private func more(extreme: Double?, _ number: Double) -> Double {
        guard let extreme else { return number }
        if case .measure(.min, _) = metric { return min(extreme, number) } else { return max(extreme, number) }
    }

    /// Whether a number was added.
    var hasValue: Bool {
        switch state {
        case .sum(_, let count): count > 0
        case .extreme(let extreme): extreme != nil
        case .values(let values): !values.isEmpty
        }
    }

    var value: MetricValue {
        switch state {
        case .sum(let sum, let count):
            guard case .measure(.avg, _) = metric else { return .double(sum.value) }
            return count == 0 ? .none : .double(sum.mean(of: count))
        case .extreme(let extreme): return extreme.map { .double($0) } ?? .none
        case .values(let values): return quantile(values.sorted())
        }
    }

    private func quantile(_ sorted: [Double]) -> MetricValue {
        guard case .measure(let measure, _) = metric else { return .none }
        let share =
            switch measure {
            case .p50: 0.5
            case .p90: 0.9
            default: 0.99
            }
        return Quantile.value(share, count: sorted.count) { sorted[$0] }.map { .double($0) } ?? .none
    }
}
