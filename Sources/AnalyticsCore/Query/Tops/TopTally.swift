/// Computes a metric for each key, and for all keys that the answer does not list.
///
/// An event may have several keys, so events are grouped by their combination of keys: an event's value is kept once, independent of
/// which keys are listed. Users are grouped by all keys of their events.
struct TopTally: RowReducer {
    private final class Slot: Sendable {
        let column: RowColumn
        /// Per entry of the dimension's column: its keys, the only key or -1, and the number of the combination.
        let places: [[Int32]]
        let only: [Int32]
        let combinations: [Int32]
        let numbers: RowNumbers?

        init(_ column: RowColumn, places: [[Int32]], combinations: [Int32], numbers: RowNumbers?) {
            self.column = column
            self.places = places
            only = places.map { $0.count == 1 ? $0[0] : -1 }
            self.combinations = combinations
            self.numbers = numbers
        }
    }

    private let query: TopQuery
    private let measurement: EventMeasurement
    private var slots: [Slot?] = []
    private var numbers: [GroupKey: Int32] = [:]
    private var keys: [GroupKey] = []
    /// Keys in ascending order, by the number of the combination.
    private var combinations: [[Int32]] = []
    private var combinationNumbers: [[Int32]: Int32] = [:]
    /// Events or users per combination.
    private var counts: [Int64] = []
    private var measures: [MetricAccumulator] = []
    /// The keys of the current actor, and per key the last actor counted.
    private var found: [Int32] = []
    private var seen: [Int32] = []
    private var actor: Int32 = 0
    private var isUser = false
    private var users: Int64 = 0
    private var bytes = 0

    /// Maximum bytes of keys and accumulated values per answer.
    static let byteLimit = 64 << 20

    init(_ query: TopQuery) {
        self.query = query
        measurement = EventMeasurement(dimension: query.dimension, metric: query.metric)
    }

    var fields: [RowField] { measurement.fields }
    var isByActor: Bool { query.metric == .users }
    var needsTimes: Bool { false }

    // MARK: Adding

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        let entries = rows.columns[0].entries
        var places: [[Int32]] = []
        places.reserveCapacity(entries.count)
        for index in 0..<entries.count {
            places.append(EventMeasurement.keys(try entries.scalars(index)).map { number(of: $0) }.sorted())
        }
        let combinations = isByActor ? [] : places.map { combination($0) }
        slots[slot] = Slot(rows.columns[0], places: places, combinations: combinations, numbers: try measurement.numbers(rows))
    }

    private mutating func number(of key: GroupKey) -> Int32 {
        if let number = numbers[key] { return number }
        let number = Int32(keys.count)
        numbers[key] = number
        keys.append(key)
        seen.append(0)
        bytes += key.size + 72
        return number
    }

    private mutating func combination(_ places: [Int32]) -> Int32 {
        if let number = combinationNumbers[places] { return number }
        let number = Int32(combinations.count)
        combinationNumbers[places] = number
        combinations.append(places)
        counts.append(0)
        if measurement.measured != nil { measures.append(MetricAccumulator(query.metric)) }
        bytes += places.count * 4 + 160
        return number
    }

    mutating func begin(isUser: Bool) {
        actor += 1
        self.isUser = isUser
    }

    mutating func add(slot: Int, _ range: Range<Int>) {
        guard let slot = slots[slot] else { return }
        if isByActor {
            guard isUser else { return }
            for row in range {
                let code = slot.column.code(of: row)
                let only = slot.only[code]
                if only >= 0 { touch(only) } else { for place in slot.places[code] { touch(place) } }
            }
        } else if let numbers = slot.numbers {
            for row in range where numbers.has(row) && bytes <= Self.byteLimit {
                bytes += numbers.add(row, to: &measures[Int(slot.combinations[slot.column.code(of: row)])])
            }
        } else {
            for row in range { counts[Int(slot.combinations[slot.column.code(of: row)])] += 1 }
        }
    }

    @inline(__always)
    private mutating func touch(_ place: Int32) {
        if seen[Int(place)] == actor { return }
        seen[Int(place)] = actor
        found.append(place)
    }

    mutating func end() {
        guard !found.isEmpty else { return }
        users += 1
        if found.count > 1 { found.sort() }
        counts[Int(combination(found))] += 1
        found.removeAll(keepingCapacity: true)
    }

    func check() throws {
        if bytes > Self.byteLimit { throw QueryTooLargeError(.tooManyKeys) }
    }

    // MARK: The answer

    func answer() throws -> Top {
        try check()
        return measurement.measured == nil ? try counted() : try measured()
    }

    private func counted() throws -> Top {
        var sums = [Int64](repeating: 0, count: keys.count)
        for (number, combination) in combinations.enumerated() {
            for place in combination { sums[Int(place)] += counts[number] }
        }
        let listed = listed(sums.map { .integer($0) }) { sums[$0] > 0 }
        let isListed = Set(listed.map { Int32($0) })
        var other: Int64 = 0
        for (number, combination) in combinations.enumerated() where combination.contains(where: { !isListed.contains($0) }) {
            other += counts[number]
        }
        return Top(
            items: listed.map { Top.Item(key: keys[$0], value: .integer(sums[$0])) },
            total: .integer(isByActor ? users : counts.reduce(0, +)), other: .integer(other))
    }

    private func measured() throws -> Top {
        // Merging copies the values of a combination to each of its keys.
        let needed = combinations.enumerated().reduce(0) { $0 + $1.element.count * measures[$1.offset].size }
        guard needed <= Self.byteLimit else { throw QueryTooLargeError(.tooManyKeys) }
        var byKey = keys.map { _ in MetricAccumulator(query.metric) }
        var (total, other) = (MetricAccumulator(query.metric), MetricAccumulator(query.metric))
        for (number, combination) in combinations.enumerated() {
            // This may take long, and the client may have disconnected.
            if number.isMultiple(of: 256) { try Task.checkCancellation() }
            for place in combination { byKey[Int(place)].merge(measures[number]) }
            total.merge(measures[number])
        }
        let values = byKey.map(\.value)
        let listed = listed(values) { byKey[$0].hasValue }
        let isListed = Set(listed.map { Int32($0) })
        for (number, combination) in combinations.enumerated() where combination.contains(where: { !isListed.contains($0) }) {
            other.merge(measures[number])
        }
        return Top(
            items: listed.map { Top.Item(key: keys[$0], value: values[$0]) }, total: total.value, other: other.value)
    }

    /// The keys with the largest values, in descending order.
    private func listed(_ values: [MetricValue], _ hasValue: (Int) -> Bool) -> ArraySlice<Int> {
        values.indices.filter(hasValue).sorted { a, b in
            if MetricValue.isLarger(values[a], values[b]) { return true }
            if MetricValue.isLarger(values[b], values[a]) { return false }
            return keys[a] < keys[b]
        }
        .prefix(query.limit)
    }
}
