/// Computes a metric from events, one by one.
struct MetricAccumulator: Sendable {
    private enum State {
        case events(Int64)
        case users(Set<Int32>)
        case sum(ExactSum, count: Int64)
        case extreme(Double?)
        case values([Double])
    }

    private let metric: Metric
    private var state: State

    init(_ metric: Metric) {
        self.metric = metric
        switch metric {
        case .events: state = .events(0)
        case .users: state = .users([])
        case .measure(.sum, _), .measure(.avg, _): state = .sum(ExactSum(), count: 0)
        case .measure(.min, _), .measure(.max, _): state = .extreme(nil)
        case .measure: state = .values([])
        }
    }

    /// Of one event.
    ///
    /// - Parameters:
    ///   - user: The number of its user; `nil` where it has none.
    ///   - numbers: What the measure is of.
    /// - Returns: About how many bytes more it takes.
    mutating func add(user: Int32?, numbers: [Double]) -> Int {
        switch state {
        case .events(let count): state = .events(count + 1)
        case .users(var users):
            guard let user else { return 0 }
            // Not two owners of the set: it would be copied.
            state = .events(0)
            let isNew = users.insert(user).inserted
            state = .users(users)
            return isNew ? 12 : 0
        case .sum(var sum, let count) where !numbers.isEmpty:
            state = .events(0)
            for number in numbers { sum.add(number) }
            state = .sum(sum, count: count + Int64(numbers.count))
        case .sum: break
        case .extreme(let extreme): state = .extreme(numbers.reduce(extreme) { more(extreme: $0, $1) })
        case .values(var values) where !numbers.isEmpty:
            state = .events(0)
            values += numbers
            state = .values(values)
            return numbers.count * 8
        case .values: break
        }
        return 0
    }

    /// As if what was added to the other had been added here.
    mutating func merge(_ other: MetricAccumulator) {
        switch (state, other.state) {
        case (.events(let a), .events(let b)): state = .events(a + b)
        case (.users(var a), .users(let b)):
            // Not two owners of the set: it would be copied.
            state = .events(0)
            a.formUnion(b)
            state = .users(a)
        case (.sum(var a, let count), .sum(let b, let more)):
            a.add(b)
            state = .sum(a, count: count + more)
        case (.extreme(let a), .extreme(let b)): state = .extreme(b.map { more(extreme: a, $0) } ?? a)
        case (.values(var a), .values(let b)):
            state = .events(0)
            a.append(contentsOf: b)
            state = .values(a)
        default: preconditionFailure("accumulators of two metrics")
        }
    }

    private func more(extreme: Double?, _ number: Double) -> Double {
        guard let extreme else { return number }
        if case .measure(.min, _) = metric { return min(extreme, number) } else { return max(extreme, number) }
    }

    /// Whether something was added that the metric is of: an event, a user, a number.
    var hasValue: Bool {
        switch state {
        case .events(let count), .sum(_, let count): count > 0
        case .users(let users): !users.isEmpty
        case .extreme(let extreme): extreme != nil
        case .values(let values): !values.isEmpty
        }
    }

    var value: MetricValue {
        switch state {
        case .events(let count): return .integer(count)
        case .users(let users): return .integer(Int64(users.count))
        case .sum(let sum, let count):
            guard case .measure(.avg, _) = metric else { return .double(sum.value) }
            return count == 0 ? .none : .double(sum.mean(of: count))
        case .extreme(let extreme): return extreme.map { .double($0) } ?? .none
        case .values(let values): return quantile(values.sorted())
        }
    }

    /// With linear interpolation between ranks, in the arithmetic of numpy's default (`_lerp` in numpy/lib/function_base.py).
    private func quantile(_ sorted: [Double]) -> MetricValue {
        guard case .measure(let measure, _) = metric, let last = sorted.last else { return .none }
        let share =
            switch measure {
            case .p50: 0.5
            case .p90: 0.9
            default: 0.99
            }
        let rank = Double(sorted.count - 1) * share
        let index = Int(rank)
        guard index + 1 < sorted.count else { return .double(last) }
        let (low, high, part) = (sorted[index], sorted[index + 1], rank - Double(index))
        // Beyond what a double holds the difference is no number; at a rank it is not needed.
        if part == 0 { return .double(low) }
        guard (high - low).isFinite else { return .double(low * (1 - part) + high * part) }
        return .double(part < 0.5 ? low + (high - low) * part : high - (high - low) * (1 - part))
    }
}
