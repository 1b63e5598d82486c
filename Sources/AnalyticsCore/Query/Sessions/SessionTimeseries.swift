internal import Algorithms

/// Sessions by bucket, grouped by the keys of their first events.
struct SessionTimeseries: RowQuestion {
    typealias Codec = TimeseriesCodec

    let query: TimeseriesQuery

    static let name = "timeseries"

    var selection: Selection { query.selection }
    var keyParts: [String] { query.keyParts }

    func accepts(_ answer: Timeseries) -> Bool { query.accepts(answer) }

    /// Earlier events decide where a session starts.
    func reading(over range: Range<Timestamp>) -> Reading {
        Reading(from: range.lowerBound - .milliseconds(SessionCutter.longest), to: range.upperBound)
    }

    func reducer(over range: Range<Timestamp>) -> SessionTimeseriesTally { SessionTimeseriesTally(query, range) }
}

struct SessionTimeseriesTally: RowReducer {
    private let query: TimeseriesQuery
    private let range: Range<Int64>
    private var keys = KeyCombinations()
    private var events = SessionEvents(byteLimit: Self.byteLimit)
    /// By bucket.
    private var totals: [Int64]
    private var counts: [Place: Int64] = [:]
    private var bytes = 0

    private struct Place: Hashable {
        var combination: Int32
        var bucket: Int32
    }

    /// Maximum bytes of keys and counts, and of one user's events.
    static let byteLimit = 64 << 20

    init(_ query: TimeseriesQuery, _ range: Range<Timestamp>) {
        self.query = query
        self.range = range.lowerBound.milliseconds..<range.upperBound.milliseconds
        totals = Array(repeating: 0, count: query.starts.count)
    }

    var fields: [RowField] { [.sessionId] + [query.dimension?.field].compactMap(\.self) }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        let marked = query.dimension == nil ? RowColumn.empty : rows.columns[1]
        var marks: [Int32] = [-1]
        if query.dimension != nil {
            marks = []
            for index in 0..<marked.entries.count {
                marks.append(keys.combination(of: EventMeasurement.keys(try marked.entries.scalars(index))))
            }
        }
        events.load(SessionSlot(rows, sessionIds: rows.columns[0], marked: marked, marks: marks), slot: slot)
    }

    mutating func begin(isUser: Bool) { events.isUser = isUser }

    mutating func add(slot: Int, _ rows: Range<Int>) { events.add(slot: slot, rows) }

    mutating func end() {
        // A second reference would copy the events.
        var own = events
        events = SessionEvents(byteLimit: 0)
        own.cut(gap: Int64(SessionCutter.defaultGap) * 60_000, starting: range) { count($0) }
        events = own
    }

    private mutating func count(_ session: UnsafeBufferPointer<SessionCutter.Event>) {
        let start = session[0].time
        let bucket = max(0, query.starts.partitioningIndex { $0.milliseconds > start } - 1)
        totals[bucket] += 1
        guard query.dimension != nil else { return }
        let marks = Set(session.prefix { $0.time == start }.lazy.map(\.mark))
        let place = Place(combination: keys.union(marks), bucket: Int32(bucket))
        if counts.updateValue((counts[place] ?? 0) + 1, forKey: place) == nil { bytes += 48 }
    }

    private var isTooLarge: Bool {
        bytes + keys.bytes > Self.byteLimit
    }

    func check() throws {
        if events.areTooMany || isTooLarge { throw QueryTooLargeError(.tooManyKeys) }
    }

    // MARK: The answer

    func answer() throws -> Timeseries {
        try check()
        let total = totals.reduce(0, +)
        guard query.dimension != nil else {
            return Timeseries(series: [series(nil, totals)], other: nil, total: .integer(total))
        }
        var sums = [Int64](repeating: 0, count: keys.keys.count)
        for (place, count) in counts {
            for key in keys.combinations[Int(place.combination)] { sums[Int(key)] += count }
        }
        let named = query.keys ?? largest(sums)
        let places = Dictionary(zip(named, named.indices), uniquingKeysWith: { first, _ in first })
        // The named groups, then the group of all others.
        let groups = keys.combinations.map { combination in
            Set(combination.map { places[keys.keys[Int($0)]] ?? named.count })
        }
        var values = Array(repeating: [Int64](repeating: 0, count: totals.count), count: named.count + 1)
        for (place, count) in counts {
            for group in groups[Int(place.combination)] { values[group][Int(place.bucket)] += count }
        }
        let other = values[named.count]
        return Timeseries(
            series: zip(named, values).map { series($0, $1) }, other: other.contains { $0 > 0 } ? series(nil, other) : nil,
            total: .integer(total))
    }

    private func largest(_ sums: [Int64]) -> [GroupKey] {
        sums.indices.filter { sums[$0] > 0 }
            .sorted { sums[$0] != sums[$1] ? sums[$0] > sums[$1] : keys.keys[$0] < keys.keys[$1] }
            .prefix(query.limit).map { keys.keys[$0] }
    }

    private func series(_ key: GroupKey?, _ values: [Int64]) -> Timeseries.Series {
        .init(key: key, values: values.map { .integer($0) }, total: .integer(values.reduce(0, +)))
    }
}

/// The keys of events and the combinations in which they occur, by number.
struct KeyCombinations: Sendable {
    private(set) var keys: [GroupKey] = []
    /// Numbers of distinct keys, in ascending order.
    private(set) var combinations: [[Int32]] = []
    /// Approximate bytes in memory.
    private(set) var bytes = 0
    private var numbers: [GroupKey: Int32] = [:]
    private var combinationNumbers: [[Int32]: Int32] = [:]

    mutating func number(of key: GroupKey) -> Int32 {
        if let number = numbers[key] { return number }
        let number = Int32(keys.count)
        numbers[key] = number
        keys.append(key)
        bytes += key.size + 72
        return number
    }

    mutating func combination(of keys: [GroupKey]) -> Int32 { combination(keys.map { number(of: $0) }.sorted()) }

    /// The combination of several events together: null is included only if there is no other key. It is computed at once, since each
    /// intermediate combination would be kept.
    mutating func union(_ marks: Set<Int32>) -> Int32 {
        if marks.count == 1, let mark = marks.first { return mark }
        let all = Set(marks.flatMap { combinations[Int($0)] })
        let real = all.filter { keys[Int($0)] != .null }
        return combination((real.isEmpty ? all : real).sorted())
    }

    private mutating func combination(_ keys: [Int32]) -> Int32 {
        if let number = combinationNumbers[keys] { return number }
        let number = Int32(combinations.count)
        combinationNumbers[keys] = number
        combinations.append(keys)
        bytes += keys.count * 8 + 160
        return number
    }
}
