internal import Algorithms

/// Adds events up by bucket and group.
struct TimeseriesTally: GroupReducer {
    private let query: TimeseriesQuery
    private var groups: SelectedGroups
    private var places: [BytewiseString: Int] = [:]
    private var names: [BytewiseString] = []
    private var rows: [Row] = []
    private var bytes = 0
    private var failure: (any Error)?

    /// Bytes of names and sums that one answer may hold while it is added up.
    static let byteLimit = 64 << 20

    /// Of one group: sums by bucket, in blocks that exist where there is something.
    private struct Row {
        static let length = 64
        var blocks: [[Int64]?]

        init(buckets: Int) {
            blocks = Array(repeating: nil, count: (buckets + Self.length - 1) / Self.length)
        }

        func values(count: Int) -> [Int64] {
            Array(blocks.flatMap { $0 ?? Array(repeating: 0, count: Self.length) }.prefix(count))
        }
    }

    init(_ query: TimeseriesQuery) {
        self.query = query
        groups = SelectedGroups(query.selection)
    }

    var emptied: TimeseriesTally { TimeseriesTally(query) }

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
            for (number, block) in row.blocks.enumerated() {
                guard let block else { continue }
                for (index, value) in block.enumerated() where value != 0 { add(value, to: place, number * Row.length + index) }
            }
        }
    }

    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable) {
        let pieces = pieces(of: bucket)
        let column: KeyPath<GroupTable.Row, Int> = query.grouping == .source ? \.source : \.type
        var found: [SIMD4<Int64>] = []
        try groups.read(table) { types, sources in
            found = Array(repeating: .zero, count: query.grouping == .source ? sources : types)
        } row: { row in
            found[row[keyPath: column]] &+= row.quarters
        }
        let texts = query.grouping == .source ? groups.sources : groups.types
        // All names before the first sum: what is wrong with a table must leave nothing behind.
        let wanted = found.indices.filter { found[$0] != .zero }
        let places = try wanted.map { (index) throws(GroupTable.Unreadable) in
            place(of: query.grouping == nil ? BytewiseString("") : BytewiseString(try texts.text(index)))
        }
        for (place, index) in zip(places, wanted) {
            for (quarters, number) in pieces { add((found[index] & quarters).wrappedSum(), to: place, number) }
        }
    }

    /// The buckets of the question in which a bucket of a tier lies, each with a mask of its quarters. Of a tier without quarters all is in
    /// the first one.
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
        switch query.grouping {
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

    /// Throws as ``CountTally/answer()`` does.
    func answer() throws -> Timeseries {
        try check()
        var totals: [(name: BytewiseString, total: Int64, row: Int)] = []
        var sum: Int64 = 0
        for (place, name) in names.enumerated() {
            let total = try Self.total(of: rows[place])
            sum = try Self.checked(sum.addingReportingOverflow(total))
            totals.append((name, total, place))
        }
        totals.sort { $0.total != $1.total ? $0.total > $1.total : $0.name < $1.name }
        let count = query.starts.count
        guard query.grouping != nil else {
            let values = rows.first?.values(count: count) ?? Array(repeating: 0, count: count)
            return Timeseries(series: [.init(name: "", values: values, total: sum)], other: nil)
        }
        let named = totals.prefix(query.limit).map {
            Timeseries.Series(name: $0.name.text, values: rows[$0.row].values(count: count), total: $0.total)
        }
        guard totals.count > query.limit else { return Timeseries(series: named, other: nil) }
        var other = Timeseries.Series(name: "", values: Array(repeating: 0, count: count), total: 0)
        for group in totals.dropFirst(query.limit) {
            for (index, value) in rows[group.row].values(count: count).enumerated() { other.values[index] += value }
            other.total += group.total
        }
        return Timeseries(series: named, other: other)
    }

    private static func total(of row: Row) throws -> Int64 {
        try row.blocks.lazy.compactMap(\.self).joined().reduce(0) { try checked($0.addingReportingOverflow($1)) }
    }

    private static func checked(_ result: (partialValue: Int64, overflow: Bool)) throws -> Int64 {
        if result.overflow { throw overflow }
        return result.partialValue
    }

    private static let overflow = StoreError(
        .misconfigured, operation: "counts", "stored counts add up to more than 64 bits hold: some of them are damaged")
}
