internal import Algorithms

/// Adds up events by bucket and group.
struct TimeseriesTally: GroupReducer {
    private let query: TimeseriesQuery
    private let grouping: CountQuery.Grouping?
    private var groups: SelectedGroups
    private var places: [BytewiseString: Int] = [:]
    private var names: [BytewiseString] = []
    private var rows: [Row] = []
    private var bytes = 0
    private var failure: (any Error)?

    /// Maximum bytes of names and sums while an answer is added up.
    static let byteLimit = 64 << 20

    /// The sums of one group by bucket, in blocks that are allocated when needed.
    private struct Row {
        static let length = 64
        var blocks: [[Int64]?]

        init(buckets: Int) {
            blocks = Array(repeating: nil, count: (buckets + Self.length - 1) / Self.length)
        }

        /// Calls `body` with each nonzero sum and the number of its bucket.
        func each(_ body: (_ bucket: Int, _ sum: Int64) -> Void) {
            for (number, block) in blocks.enumerated() {
                guard let block else { continue }
                for (index, value) in block.enumerated() where value != 0 { body(number * Self.length + index, value) }
            }
        }

        func values(count: Int) -> [Int64] {
            Array(blocks.flatMap { $0 ?? Array(repeating: 0, count: Self.length) }.prefix(count))
        }
    }

    init(_ query: TimeseriesQuery) {
        self.query = query
        grouping = query.dimension?.rolledUp
        groups = SelectedGroups(query.selection)
    }

    var emptied: TimeseriesTally { TimeseriesTally(query) }

    /// A tally of a UTC day by quarters of an hour, with the same selection and groups.
    func ofDay(_ day: Int64) -> TimeseriesTally {
        let begin = Timestamp(day: day)
        let starts = (0..<96).map { begin + .milliseconds($0 * Int(BucketSpan.quarter)) }
        return TimeseriesTally(TimeseriesQuery(query.selection, by: query.dimension, starts: starts))
    }

    /// Identifies everything that ``ofDay(_:)`` depends on, except the day.
    var keyOfDays: String {
        Digest.hexadecimal(of: [query.selection.project.name, query.dimension?.text ?? ""] + query.selection.keyParts)
    }

    /// A copy without the strings of the tables that it has read.
    var bare: TimeseriesTally {
        var bare = self
        bare.groups = SelectedGroups(query.selection)
        return bare
    }

    /// Approximate bytes in memory, if it is ``bare``.
    var size: Int { bytes + query.starts.count * 8 + 1_024 }

    var boundaries: [Timestamp] { Array(query.starts.dropFirst()) }

    func check() throws {
        if let failure { throw failure }
    }

    // MARK: Adding

    mutating func add(_ row: EventCount, from start: Timestamp) -> Bool {
        add(row.count, to: place(of: name(type: row.type, source: row.source)), bucket(of: start))
        return failure == nil
    }

    mutating func merge(_ other: TimeseriesTally) {
        failure = failure ?? other.failure
        for (name, row) in zip(other.names, other.rows) {
            let place = place(of: name)
            row.each { add($1, to: place, $0) }
        }
    }

    /// Adds the sums of a tally from ``ofDay(_:)``.
    mutating func add(day: TimeseriesTally) {
        let buckets = day.query.starts.map(bucket)
        failure = failure ?? day.failure
        for (name, row) in zip(day.names, day.rows) {
            let place = place(of: name)
            row.each { add($1, to: place, buckets[$0]) }
        }
    }

    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable) {
        let pieces = pieces(of: bucket)
        let column: KeyPath<GroupTable.Row, Int> = grouping == .source ? \.source : \.type
        var found: [SIMD4<Int64>] = []
        try groups.read(table) { types, sources in
            found = Array(repeating: .zero, count: grouping == .source ? sources : types)
        } row: { row in
            found[row[keyPath: column]] &+= row.quarters
        }
        let texts = grouping == .source ? groups.sources : groups.types
        // All names are read before the first sum: a damaged table must add nothing.
        let wanted = found.indices.filter { found[$0] != .zero }
        let places = try wanted.map { (index) throws(GroupTable.Unreadable) in
            place(of: query.dimension == nil ? BytewiseString("") : BytewiseString(try texts.text(index)))
        }
        for (place, index) in zip(places, wanted) {
            for (quarters, number) in pieces { add((found[index] & quarters).wrappedSum(), to: place, number) }
        }
    }

    /// The buckets of the question that a bucket of a tier covers, each with a mask of its quarters. In a tier without quarters,
    /// everything is in the first quarter.
    private func pieces(of bucket: BucketSpan) -> [(quarters: SIMD4<Int64>, number: Int)] {
        let first = self.bucket(of: bucket.start(ofQuarter: 0))
        guard bucket.tier == .hour else { return [(SIMD4(repeating: -1), first)] }
        var pieces = [(quarters: SIMD4<Int64>(-1, 0, 0, 0), number: first)]
        for quarter in 1..<4 {
            let number = self.bucket(of: bucket.start(ofQuarter: quarter))
            if number != pieces[pieces.count - 1].number { pieces.append((SIMD4<Int64>.zero, number)) }
            pieces[pieces.count - 1].quarters[quarter] = -1
        }
        return pieces
    }

    private func bucket(of time: Timestamp) -> Int { max(0, query.starts.partitioningIndex { $0 > time } - 1) }

    private func name(type: String, source: String) -> BytewiseString {
        switch grouping {
        case nil: BytewiseString("")
        case .type: BytewiseString(type)
        case .source: BytewiseString(source)
        }
    }

    private mutating func place(of name: BytewiseString) -> Int {
        if let place = places[name] { return place }
        let place = names.count
        places[name] = place
        names.append(name)
        let row = Row(buckets: query.starts.count)
        rows.append(row)
        take(name.text.utf8.count + 128 + row.blocks.count * 8)
        return place
    }

    private mutating func take(_ count: Int) {
        bytes += count
        if bytes > Self.byteLimit { failure = failure ?? QueryTooLargeError(.tooManyGroups) }
    }

    private mutating func add(_ count: Int64, to place: Int, _ bucket: Int) {
        guard count != 0, failure == nil else { return }
        let (number, index) = bucket.quotientAndRemainder(dividingBy: Row.length)
        if rows[place].blocks[number] == nil {
            take(Row.length * 8 + 32)
            rows[place].blocks[number] = Array(repeating: 0, count: Row.length)
        }
        let (sum, overflow) = rows[place].blocks[number]![index].addingReportingOverflow(count)
        if overflow { failure = failure ?? Self.overflow }
        rows[place].blocks[number]![index] = sum
    }

    // MARK: The answer

    private typealias Group = (key: GroupKey?, total: Int64, row: Row?)

    /// Throws the errors of ``CountTally/answer()``.
    func answer() throws -> Timeseries {
        try check()
        var groups = try zip(names, rows).map { (key: GroupKey.text($0) as GroupKey?, total: try Self.total(of: $1), row: $1 as Row?) }
            .filter { $0.total != 0 }
        let total = try groups.reduce(0) { try Self.checked($0.addingReportingOverflow($1.total)) }
        guard grouping != nil else {
            return Timeseries(series: [series((nil, total, groups.first?.row))], other: nil, total: .integer(total))
        }
        groups.sort { $0.total != $1.total ? $0.total > $1.total : $0.key! < $1.key! }
        let (named, rest) = divide(groups)
        let other = rest.isEmpty ? nil : sum(rest)
        return Timeseries(series: named.map(series), other: other, total: .integer(total))
    }

    /// The groups that the answer names, and the others.
    private func divide(_ groups: [Group]) -> (named: [Group], rest: [Group]) {
        guard let keys = query.keys else { return (Array(groups.prefix(query.limit)), Array(groups.dropFirst(query.limit))) }
        let found = Dictionary(uniqueKeysWithValues: groups.map { ($0.key!, $0) })
        let wanted = Set(keys)
        return (keys.map { found[$0] ?? ($0, 0, nil) }, groups.filter { !wanted.contains($0.key!) })
    }

    private func series(_ group: Group) -> Timeseries.Series {
        let values = group.row?.values(count: query.starts.count) ?? Array(repeating: 0, count: query.starts.count)
        return .init(key: group.key, values: values.map { .integer($0) }, total: .integer(group.total))
    }

    private func sum(_ groups: [Group]) -> Timeseries.Series {
        var values = Array(repeating: Int64(0), count: query.starts.count)
        for group in groups {
            // No sum overflows: the sum of all does not, and none is negative.
            group.row?.each { values[$0] &+= $1 }
        }
        return .init(key: nil, values: values.map { .integer($0) }, total: .integer(groups.reduce(0) { $0 + $1.total }))
    }

    private static func total(of row: Row) throws -> Int64 {
        try row.blocks.lazy.compactMap(\.self).joined().reduce(0) { try checked($0.addingReportingOverflow($1)) }
    }

    private static func checked(_ result: (partialValue: Int64, overflow: Bool)) throws -> Int64 {
        if result.overflow { throw overflow }
        return result.partialValue
    }

    private static let overflow = StoreError(
        .misconfigured, operation: "counts", "the sum of the stored counts exceeds 64 bits: some of them are damaged")
}
