internal import AnalyticsJSON

/// The numbers of each row, for a measure.
struct RowNumbers: Sendable {
    private let column: RowColumn
    /// Per entry of the column, its only number. If an entry has none or several, see ``several``.
    private let only: [Double]
    private let counts: [UInt8]
    private let several: [[Double]]

    init(_ column: RowColumn) throws(GroupTable.Unreadable) {
        self.column = column
        several = try column.entries.map { (values) in
            values.compactMap { value in
                switch value {
                case .integer(let value): Double(value)
                case .double(let value): value
                default: nil
                }
            }
        }
        only = several.map { $0.first ?? 0 }
        counts = several.map { UInt8(min($0.count, 2)) }
    }

    func has(_ row: Int) -> Bool { counts[column.code(of: row)] > 0 }

    /// Returns the approximate bytes added to the accumulator.
    func add(_ row: Int, to accumulator: inout MetricAccumulator) -> Int {
        let code = column.code(of: row)
        if counts[code] == 1 { return accumulator.add(only[code]) }
        return several[code].reduce(0) { $0 + accumulator.add($1) }
    }
}
