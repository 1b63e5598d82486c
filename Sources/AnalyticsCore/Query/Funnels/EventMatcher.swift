internal import AnalyticsJSON

/// The conditions of an event: a step or an exclusion of a funnel, or one of the two events of retention.
public struct EventPattern: Sendable, Equatable {
    /// Any of these; all if empty.
    public var types: [String]
    public var sources: [String]
    public var data: [DataCondition]

    public init(types: [String] = [], sources: [String] = [], data: [DataCondition] = []) {
        self.types = types
        self.sources = sources
        self.data = data
    }

    /// Different patterns have different parts.
    var keyParts: [String] {
        func list(_ values: [String]) -> [String] {
            [String(values.count)] + values.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        return list(types) + list(sources) + [String(data.count)]
            + data.flatMap { [String($0.path.count)] + $0.path + list($0.values) }
    }

    /// Per field, the keys of which an event must have one.
    fileprivate var conditions: [(field: RowField, keys: Set<GroupKey>)] {
        var conditions: [(field: RowField, keys: Set<GroupKey>)] = []
        for (field, values) in [(RowField.type, types), (.source, sources)] where !values.isEmpty {
            conditions.append((field, Set(values.map { GroupKey($0) })))
        }
        for condition in data {
            guard let path = try? PropertyPath(.data, condition.path.joined(separator: ".")) else { continue }
            conditions.append((.property(path), Set(condition.values.flatMap(DataCondition.scalars(of:)).map { GroupKey($0) })))
        }
        return conditions
    }
}

/// Tells which patterns each row matches, one bit per pattern.
struct EventMatcher: Sendable {
    /// The fields of the columns that it reads.
    let fields: [RowField]
    private let patterns: [[(column: Int, keys: Set<GroupKey>)]]

    /// - Precondition: At most 32 patterns.
    init(_ patterns: [EventPattern]) {
        var fields: [RowField] = []
        self.patterns = patterns.map { pattern in
            pattern.conditions.map { field, keys in
                let column = fields.firstIndex(of: field) ?? fields.count
                if column == fields.count { fields.append(field) }
                return (column, keys)
            }
        }
        self.fields = fields
    }

    /// - Parameter columns: In the order of the fields.
    func masks(_ columns: ArraySlice<RowColumn>) throws(GroupTable.Unreadable) -> RowMasks {
        var tables: [(column: RowColumn, masks: [UInt32])] = []
        for (index, column) in columns.enumerated() {
            let masks = try column.entries.map { (values) throws(GroupTable.Unreadable) in
                let own = values.map { GroupKey($0) }
                var mask: UInt32 = 0
                for (bit, conditions) in patterns.enumerated() {
                    let holds = conditions.allSatisfy { $0.column != index || own.contains(where: $0.keys.contains) }
                    if holds { mask |= 1 << UInt32(bit) }
                }
                return mask
            }
            tables.append((column, masks))
        }
        return RowMasks(tables, all: UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(patterns.count)) - 1))
    }
}

/// The patterns that the rows of a chunk match.
struct RowMasks: Sendable {
    private let first: RowColumn
    private let firstMasks: [UInt32]
    private let others: [(column: RowColumn, masks: [UInt32])]

    fileprivate init(_ tables: [(column: RowColumn, masks: [UInt32])], all: UInt32) {
        first = tables.first?.column ?? .empty
        firstMasks = tables.first?.masks ?? [all]
        others = Array(tables.dropFirst())
    }

    @inline(__always)
    subscript(row: Int) -> UInt32 {
        var mask = firstMasks[first.code(of: row)]
        if mask != 0 && !others.isEmpty {
            for (column, masks) in others { mask &= masks[column.code(of: row)] }
        }
        return mask
    }
}
