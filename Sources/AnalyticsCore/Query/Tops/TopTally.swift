/// Computes a metric for each key, and for all keys that the answer does not list.
///
/// An event may have several keys, so events are told apart by all of theirs: what an event adds is then kept once, whichever keys are listed.
struct TopTally: AnswerReducer, EventScanReducer {
    private let query: TopQuery
    private let measurement: EventMeasurement
    private var users = UserNumbers()
    private var places: [GroupKey: Int32] = [:]
    private var keys: [GroupKey] = []
    /// The accumulator of the events that have these keys, in rising order.
    private var combinations: [[Int32]: Int] = [:]
    private var accumulators: [MetricAccumulator] = []
    /// Of all events.
    private var total: MetricAccumulator
    private var bytes = 0

    /// Bytes of keys and of what is accumulated that one answer may hold.
    static let byteLimit = 64 << 20

    init(_ query: TopQuery) {
        self.query = query
        measurement = EventMeasurement(dimension: query.dimension, metric: query.metric)
        total = MetricAccumulator(query.metric)
    }

    mutating func add(_ event: ScannedEvent) -> Bool {
        let combination = measurement.keys(of: event).map { place(of: $0) }.sorted()
        let number = number(of: combination)
        let user = query.metric == .users ? users.number(of: event) : nil
        let numbers = measurement.numbers(of: event)
        bytes += accumulators[number].add(user: user, numbers: numbers) + total.add(user: user, numbers: numbers)
        return bytes + users.bytes <= Self.byteLimit
    }

    private mutating func place(of key: GroupKey) -> Int32 {
        if let place = places[key] { return place }
        let place = Int32(keys.count)
        places[key] = place
        keys.append(key)
        bytes += key.size + 64
        return place
    }

    private mutating func number(of combination: [Int32]) -> Int {
        if let number = combinations[combination] { return number }
        let number = accumulators.count
        combinations[combination] = number
        accumulators.append(MetricAccumulator(query.metric))
        bytes += combination.count * 4 + 128
        return number
    }

    func check() throws {
        if bytes + users.bytes > Self.byteLimit { throw QueryTooLargeError(.tooManyKeys) }
    }

    func answer() throws -> Top {
        try check()
        var byKey = keys.map { _ in MetricAccumulator(query.metric) }
        for (combination, number) in combinations {
            // This may take a while, and the caller may have gone.
            if number.isMultiple(of: 256) { try Task.checkCancellation() }
            for place in combination { byKey[Int(place)].merge(accumulators[number]) }
        }
        let values = byKey.map(\.value)
        let order = values.indices.filter { byKey[$0].hasValue }.sorted { a, b in
            if MetricValue.isLarger(values[a], values[b]) { return true }
            if MetricValue.isLarger(values[b], values[a]) { return false }
            return keys[a] < keys[b]
        }
        let listed = order.prefix(query.limit)
        let isListed = Set(listed.map { Int32($0) })
        var other = MetricAccumulator(query.metric)
        for (combination, number) in combinations where combination.contains(where: { !isListed.contains($0) }) {
            other.merge(accumulators[number])
        }
        return Top(
            items: listed.map { Top.Item(key: keys[$0], value: values[$0]) }, total: total.value, other: other.value)
    }
}
